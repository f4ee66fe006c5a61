"""Three days of sending on a simulated clock, through a provider that counts, throttles, greylists and goes away."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from outreach.domain.replies import refusal
from outreach.domain.reply_rules import Stage
from outreach.domain.reservation import SENT, Outcome, Outgoing
from outreach.models import Inbox, Suppression, Touch
from outreach.services.inboxes import change_inbox
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

HOUR, DAY = 3600.0, 86_400.0
INBOXES, TOUCHES, QUOTA, A_MINUTE, DAYS = 3, 200, 90, 10, 3
GREYLISTED_SECONDS = 1800.0
AWAY = (30 * HOUR, 34 * HOUR)


@dataclass
class Provider:
    """Takes ``QUOTA`` mails of a sender in a rolling day and ``A_MINUTE`` in a minute; greylists one recipient in five;
    one in fifty does not exist. Its replies are texts, which go through the rules."""

    clock: FixedClock
    began: float
    taken: dict[str, list[float]] = field(default_factory=dict)
    first_seen: dict[tuple[str, str], float] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)

    def send(self, touch: Outgoing) -> Outcome:
        reply = self.reply(touch)
        self.said[reply[:9]] += 1
        return refusal(Stage.RCPT, int(reply[:3]), reply[4:], reply) if reply else SENT

    def reply(self, touch: Outgoing) -> str:
        now, number = self.clock.now, int(touch.recipient[1:].partition("@")[0])
        taken = self.taken.setdefault(touch.sender_address, [])
        if AWAY[0] <= now - self.began < AWAY[1]:
            return "421 4.3.2 shutting down for maintenance"
        if sum(at > now - DAY for at in taken) >= QUOTA:
            return "550 5.4.5 Daily user sending quota exceeded"
        if sum(at > now - 60 for at in taken) >= A_MINUTE:
            return "450 4.7.1 rate limit exceeded, try again in 120 seconds"
        if number % 50 == 0:
            return "550 5.1.1 no such user"
        first = self.first_seen.setdefault((touch.sender_address, touch.recipient), now)
        if number % 5 == 0 and now - first < GREYLISTED_SECONDS:
            return "450 4.2.0 greylisted"
        taken.append(now)
        return ""

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.django_db
def test_three_days_lose_nobody(
    queue_up: Callable[..., list[Touch]], make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    """No touch is dead but those of recipients who do not exist, and lanes resume by themselves."""
    addresses = [f"i{number}@example.com" for number in range(INBOXES)]
    for address in addresses:
        change_inbox(address, {})
        queue_up(TOUCHES, inbox=address)
    harness = make_harness(size=4, block_seconds=0.0)
    provider = Provider(clock, clock.now)
    harness.sender.send = provider.send  # type: ignore[method-assign]
    while clock.now < provider.began + DAYS * DAY:
        next_seconds = harness.work(steps=2000).next_seconds
        clock.advance(min(max(next_seconds or HOUR, 1.0), HOUR))

    gone = INBOXES * TOUCHES // 50  # dead, or suppressed by then
    states = Counter(Touch.objects.values_list("status", flat=True))
    assert set(states) == {"sent", "dead", "suppressed"}
    assert states["sent"] == INBOXES * TOUCHES - gone
    assert not Touch.objects.filter(status="dead").exclude(reason__startswith="550 5.1.1").exists()
    suppressed = {one.recipient for one in Suppression.objects.all()}
    assert suppressed == {f"r{number}@example.com" for number in range(50, TOUCHES + 1, 50)}
    assert not Inbox.objects.filter(paused=True).exists()
    assert {"550 5.4.5", "450 4.7.1", "421 4.3.2", "450 4.2.0"} <= set(provider.said)

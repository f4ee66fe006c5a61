"""Many inboxes behind one relay that throttles, greylists, refuses, goes away and comes back."""

import re
import time
from collections import Counter

from tests.end_to_end.system import eventually
from tests.outreach.fleet import Fleet, fleet
from tests.outreach.relay import Misbehaving, Relay, relay_server

TOUCHES, INBOXES, SETTLED_WITHIN_SECONDS = 2_000, 40, 240
AWAY_SECONDS = 3.0


def is_settled(workers: Fleet) -> bool:
    return set(workers.statuses().values()) <= {"sent", "dead", "unknown"}


def half_is_sent(relay: Relay) -> bool:
    return len(relay.mails) > TOUCHES // 2


def test_every_touch_is_sent_once_or_truly_refused() -> None:
    script = Misbehaving()
    impatient = {"DJANGO_SETTINGS_MODULE": "tests.outreach.impatient_settings", "LOG_LEVEL": "WARNING"}
    with relay_server(script) as relay, fleet("--concurrency", "8", relay=relay, **impatient) as workers:
        addresses = [f"i{number}@example.com" for number in range(INBOXES)]
        workers.set_inboxes({address: {} for address in addresses})
        workers.enqueue([addresses[number % INBOXES] for number in range(TOUCHES)])
        workers.start()
        eventually(lambda: half_is_sent(relay), SETTLED_WITHIN_SECONDS, 0.2)
        script.is_away = True
        time.sleep(AWAY_SECONDS)
        script.is_away = False
        eventually(lambda: is_settled(workers), SETTLED_WITHIN_SECONDS, 0.5)
        exits = [status for status, _ in workers.stop()]
        statuses, counts, log = workers.statuses(), relay.counts(), workers.log.read_text()

    print(f"touches={TOUCHES} {dict(Counter(statuses.values()))} replies={dict(script.said)}")
    assert exits == [0, 0, 0]
    assert Counter(statuses.values()) == {"sent": TOUCHES - TOUCHES // 50, "dead": TOUCHES // 50}
    assert {touch for touch, times in counts.items() if times == 1} == {
        touch for touch, status in statuses.items() if status == "sent"
    }
    assert max(counts.values()) == 1
    assert len(set(re.findall(r"inbox (\d+) \(\[address\]\) is held until", log))) == INBOXES
    assert {"450 4.2.0", "450 4.7.1", "550 5.1.1", "drop"} <= set(script.said)

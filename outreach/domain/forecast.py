"""Forecasts of queued touches: an inbox's rules applied on a simulated clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from outreach.domain.inbox_rules import DAY_MS, MINUTE_MS, Decision, History, InboxRules, next_allowed


@dataclass(frozen=True, slots=True)
class Forecast:
    """``per_day``: sends by date in the inbox's time zone. ``left``: touches still queued at the end. ``binds``: the
    minutes that each rule delays the inbox, longest first."""

    per_day: dict[date, int]
    left: int
    binds: dict[str, float]

    @property
    def binding(self) -> str:
        return next(iter(self.binds), "")


def forecast(rules: InboxRules, history: History, due_ms: Iterable[int], now_ms: int, days: int) -> Forecast:
    """Simulates sending each touch as soon as it is due (``due_ms``, in any order) and the rules allow it."""
    waiting = sorted(due_ms)
    per_day: Counter[date] = Counter()
    binds: Counter[str] = Counter()
    for at_ms in _moments(rules, history, waiting, now_ms, now_ms + days * DAY_MS, binds):
        per_day[datetime.fromtimestamp(at_ms / 1000, rules.zone).date()] += 1
    minutes = {reason: held_ms / MINUTE_MS for reason, held_ms in binds.most_common()}
    return Forecast(dict(per_day), len(waiting) - per_day.total(), minutes)


def earliest_send(rules: InboxRules, history: History, ahead: int, now_ms: int) -> Decision:
    """The earliest send of a touch behind ``ahead`` others, and the rule that delays it longest. ``until_ms`` is None
    when it is over a year away or needs an operator's action."""
    binds: Counter[str] = Counter()
    moments = list(_moments(rules, history, [0] * (ahead + 1), now_ms, now_ms + 366 * DAY_MS, binds))
    reason = next((reason for reason, _ in binds.most_common()), None)
    return Decision(reason, moments[-1] if len(moments) > ahead else None)


def _moments(
    rules: InboxRules, history: History, waiting: list[int], now_ms: int, end_ms: int, binds: Counter[str]
) -> Iterator[int]:
    stamps = list(history.stamps_ms)
    for due in waiting:
        now_ms = max(now_ms, due)
        while (decision := next_allowed(rules, History(stamps, 0, history.held_until_ms), now_ms)).reason is not None:
            if decision.until_ms is None or decision.until_ms >= end_ms:
                binds[decision.reason] += max(0, end_ms - now_ms)
                return
            binds[decision.reason] += decision.until_ms - now_ms
            now_ms = decision.until_ms
        if now_ms >= end_ms:
            return
        stamps.append(now_ms)
        yield now_ms

"""The rules of an inbox: whether it may send now, and if not, why and until when. reserve.lua mirrors ``decide``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from outreach.domain.sending_window import SendingWindow

_UTC = ZoneInfo("UTC")
MOST_SENDS = 1_000_000
"""The largest limit, and the maximum length of an inbox's log of sends."""

NEVER_MS = 9_000_000_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

PAUSED, WINDOW, SERVER = "paused", "window", "server"
PER_MINUTE, PER_DAY, MIN_GAP, IN_FLIGHT = "per_minute", "per_day", "min_gap", "in_flight"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` sends in every rolling window of ``window_ms``."""

    reason: str
    count: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The daily limit of a new inbox: ``start`` on the day it ``began``, ``step`` more each day, up to ``target``."""

    began: date
    start: int
    step: int
    target: int

    def per_day(self, today: date) -> int:
        days = max(0, (today - self.began).days)
        return min(self.target, self.start + self.step * days)


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    """The rules resolved at one moment: sending from ``open_from_ms`` until ``open_until_ms``, within ``limits``.
    ``hold_reason``: why the inbox is held, if it is."""

    open_from_ms: int
    open_until_ms: int
    limits: tuple[Limit, ...]
    hold_reason: str = SERVER

    @property
    def stamps_needed(self) -> int:
        """How many of the last sends are needed to evaluate every limit."""
        return max((limit.count for limit in self.limits), default=0)


@dataclass(frozen=True, slots=True)
class History:
    """An inbox's recent sends (server times in ms, oldest first), touches in flight, and end of its hold."""

    stamps_ms: Sequence[int] = ()
    in_flight: int = 0
    held_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is None when sending is allowed now; ``until_ms`` is None when the end of the wait is unknown."""

    reason: str | None
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class InboxRules:
    """The sending rules of an inbox, as configured. ``hold_reason``: the reason of its last hold."""

    per_minute: int | None = None
    per_day: int | None = None
    min_gap_seconds: float | None = None
    window: SendingWindow | None = None
    paused: bool = False
    warm_up: WarmUp | None = None
    zone: ZoneInfo = _UTC
    hold_reason: str = SERVER

    def effective_limits(self, now: float) -> EffectiveLimits:
        """The limits that apply at ``now`` (Unix seconds)."""
        opens, closes = 0, NEVER_MS
        if self.paused:
            opens = NEVER_MS
        elif self.window is not None:
            span = self.window.open_span(now)
            opens, closes = _ms(span[0]), _ms(span[1])
        return EffectiveLimits(opens, closes, self._limits(now), self.hold_reason)

    def _limits(self, now: float) -> tuple[Limit, ...]:
        per_day = self._per_day(datetime.fromtimestamp(now, self.zone).date()) if self.warm_up else self.per_day
        candidates = (
            (PER_MINUTE, self.per_minute, MINUTE_MS),
            (PER_DAY, per_day, DAY_MS),
            (MIN_GAP, 1 if self.min_gap_seconds else None, _ms(self.min_gap_seconds or 0)),
        )
        return tuple(Limit(reason, count, window) for reason, count, window in candidates if count is not None)

    def grows_at(self, now: float) -> float | None:
        """The local midnight (Unix seconds) from which the warm-up allows more than at ``now``; None when it does
        not."""
        if self.warm_up is None:
            return None
        today = datetime.fromtimestamp(now, self.zone).date()
        tomorrow = today + timedelta(days=1)
        if self._per_day(tomorrow) == self._per_day(today):
            return None
        return datetime.combine(tomorrow, time(), self.zone).timestamp()

    def _per_day(self, today: date) -> int | None:
        if self.warm_up is None:
            return self.per_day
        ramp = self.warm_up.per_day(today)
        return ramp if self.per_day is None else min(ramp, self.per_day)


def decide(effective_limits: EffectiveLimits, history: History, now_ms: int) -> Decision:
    """Whether one more touch may be sent at ``now_ms``; of several reasons, the one that lasts longest."""
    held = [_limit_ends_ms(limit, history) for limit in effective_limits.limits]
    if effective_limits.open_from_ms >= NEVER_MS:
        return Decision(PAUSED, None)
    if any(until is None for _, until in held):
        return Decision(IN_FLIGHT, None)
    held += [(WINDOW, effective_limits.open_from_ms), (effective_limits.hold_reason, history.held_until_ms)]
    if now_ms >= effective_limits.open_until_ms:
        held.append((WINDOW, now_ms + 1000))
    reason, until = max(((reason, until or 0) for reason, until in held), key=lambda pair: pair[1])
    return Decision(reason, until) if until > now_ms else Decision(None, None)


def next_allowed(rules: InboxRules, history: History, now_ms: int) -> Decision:
    """As ``decide``, but a limit that ends outside the sending window lasts until the window opens, and a daily limit
    until the warm-up allows more."""
    decision = decide(rules.effective_limits(now_ms / 1000), history, now_ms)
    if decision.until_ms is None:
        return decision
    grows_at = rules.grows_at(now_ms / 1000) if decision.reason == PER_DAY else None
    if grows_at is not None and _ms(grows_at) < decision.until_ms:
        later = next_allowed(rules, history, _ms(grows_at))
        decision = Decision(PER_DAY, _ms(grows_at)) if later.reason is None else later
    if decision.until_ms is None or rules.window is None:
        return decision
    opens = rules.window.next_open(decision.until_ms / 1000)
    return decision if _ms(opens) <= decision.until_ms else Decision(WINDOW, _ms(opens))


def _limit_ends_ms(limit: Limit, history: History) -> tuple[str, int | None]:
    """When ``limit`` allows a send again. Touches in flight count as sent, so the end may be unknown (None)."""
    room = limit.count - history.in_flight
    if room <= 0:
        return limit.reason, None
    if len(history.stamps_ms) < room:
        return limit.reason, 0
    return limit.reason, history.stamps_ms[-room] + limit.window_ms + 1


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def utc_from_ms(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, UTC)

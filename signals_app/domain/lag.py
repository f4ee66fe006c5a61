"""Lag of consumer groups: figures, limits, and their text form. Unknown is None, never 0."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from signals_app import keys
from signals_app.domain.heartbeats import ExpiredConsumer, Heartbeats
from signals_app.domain.names import check_range
from signals_app.keys import DEFAULT_GROUP

BEHIND_SECONDS = 60.0
"""A group whose oldest unhandled entry is older is behind; the default ``--max-age`` of ``watch_signals``."""
ACTIVE_SECONDS = 60.0
"""A consumer without a heartbeat counts as active if it used Redis within this time."""

MAX_PENDING = 1_000
"""The default ``--max-pending``, in entries per group."""

_MAX_LIMIT = 10**12
_MIN_ELAPSED_MS = 1_000

GroupKind = Literal["own", "heartbeat", "external"]
"""Who reads a group: ``consume_signals``, another program that sends heartbeats, or one that sends none. An external
group is monitored by lag and age alone."""


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    """``alive`` means a current heartbeat; consumers of other programs may have none. ``idle_seconds`` is None if not
    read."""

    name: str
    pending: int
    idle_seconds: float | None
    alive: bool

    @property
    def is_active(self) -> bool:
        """Whether it has a current heartbeat or used Redis recently."""
        return self.alive or (self.idle_seconds is not None and self.idle_seconds < ACTIVE_SECONDS)


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """``lag`` is the number of entries not yet delivered to the group: counted if ``lag_exact``, otherwise the estimate
    of the server, or None. Ages are None when there is no such entry. ``drain_seconds`` is the time to handle all
    waiting entries at the rate of the last minute, None if unknown or infinite."""

    ages_known: ClassVar[bool] = True

    name: str
    pending: int
    lag: int | None
    lag_exact: bool
    oldest_pending_seconds: float | None
    oldest_undelivered_seconds: float | None
    drain_seconds: float | None
    consumers: Sequence[ConsumerFigures]
    consumers_alive: int
    expired_consumers: Sequence[ExpiredConsumer]
    kind: GroupKind = "own"

    @property
    def is_abandoned(self) -> bool:
        """Whether entries wait and no consumer that should send a heartbeat is alive."""
        return self.has_work and not self.consumers_alive and self.kind != "external"

    def may_be_freed(self, consumer: ConsumerFigures) -> bool:
        """Whether its entries may be made claimable: it has expired, and is not merely without heartbeats."""
        if self.kind == "external" or consumer.alive or not consumer.pending:
            return False
        return not consumer.is_active or any(expired.consumer == consumer.name for expired in self.expired_consumers)

    def is_in_use_elsewhere(self, consumer_name: str) -> bool:
        """Whether another program may be working on the entries of the consumer, so that they must not be changed."""
        if self.kind != "external":
            return False
        idle = [one.idle_seconds for one in self.consumers if one.name == consumer_name]
        return not idle or idle[0] is None or idle[0] < ACTIVE_SECONDS

    @property
    def has_work(self) -> bool:
        """Whether entries wait, or may wait."""
        return self.pending > 0 or self.lag != 0

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest entry that is not handled yet, 0 when there is none."""
        return max(self.oldest_pending_seconds or 0.0, self.oldest_undelivered_seconds or 0.0)


@dataclass(frozen=True, slots=True)
class GroupOverview(GroupFigures):
    """Figures of a group whose ages and holders were not read."""

    ages_known: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """``added`` is the number of entries ever added, None if the server does not count them. An ``is_exhausted`` stream
    contains the last possible entry id, so nothing can be added."""

    stream: str
    length: int
    groups: Sequence[GroupFigures]
    added: int | None = None
    dead_letters: int = 0
    is_exhausted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The output of ``signal_lag --json``, whose names are a public format."""
        figures = asdict(self)
        for group in figures["groups"]:
            group["deaths"] = group.pop("expired_consumers")
            for expired in group["deaths"]:
                expired["died_seconds_ago"] = expired.pop("expired_seconds_ago")
        return figures


@dataclass(frozen=True, slots=True)
class LagLimits:
    """Limits of the figures; None means no limit. ``max_length`` is the hard cap of the stream, ``max_dead`` the cap of
    the dead letters, of which 80 % is the limit. Raises ValueError for a negative or non-finite limit."""

    max_pending: int | None = MAX_PENDING
    max_lag: int | None = None
    max_age_seconds: float | None = None
    max_length: int | None = None
    max_dead: int | None = None

    def __post_init__(self) -> None:
        named = {"--max-pending": self.max_pending, "--max-lag": self.max_lag, "--max-age": self.max_age_seconds}
        for name, limit in named.items():
            if limit is not None:
                check_range(name, limit, 0, _MAX_LIMIT)


LimitName = Literal["exhausted", "length", "dead", "pending", "lag", "age"]


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    """An exceeded limit of a ``group``, or of the stream when that is None. ``str`` is the sentence for display; no
    decision depends on it."""

    limit: LimitName
    group: str | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    @property
    def is_rejection(self) -> bool:
        """Whether publishers are rejected while the limit is exceeded."""
        return self.limit in ("exhausted", "length")

    @property
    def subject(self) -> tuple[str | None, str]:
        """The subject of an alert: a group, whichever of its limits are exceeded, or one limit of the stream."""
        return (self.group, self.limit if self.group is None else "")


def exceeded_limits(figures: StreamFigures, limits: LagLimits) -> list[ExceededLimit]:
    """The exceeded limits, those of the stream first. An unknown lag exceeds any limit."""
    exceeded = _exceeded_by_stream(figures, limits)
    for group in figures.groups:
        exceeded += _exceeded_by(group, limits)
    return exceeded


def _exceeded_by_stream(figures: StreamFigures, limits: LagLimits) -> list[ExceededLimit]:
    exceeded = []
    stream, dead = figures.stream, figures.dead_letters
    if figures.is_exhausted:
        sentence = f"{stream} holds the last possible entry id, publishers are refused"
        exceeded.append(ExceededLimit("exhausted", None, sentence))
    if limits.max_length is not None and figures.length >= limits.max_length:
        sentence = f"{stream} is full: {figures.length} entries, publishers are refused"
        exceeded.append(ExceededLimit("length", None, sentence))
    if limits.max_dead is not None and dead * 5 >= limits.max_dead * 4:
        sentence = (
            f"{dead} dead letters of at most {limits.max_dead}, then the oldest are deleted: see signal_dead_letters"
        )
        exceeded.append(ExceededLimit("dead", None, sentence))
    return exceeded


def _exceeded_by(group: GroupFigures, limits: LagLimits) -> list[ExceededLimit]:
    name, exceeded = group.name, []
    if limits.max_pending is not None and group.pending > limits.max_pending:
        sentence = f"{name}: {group.pending} pending, {limits.max_pending} at most"
        exceeded.append(ExceededLimit("pending", name, sentence))
    if limits.max_lag is not None and (group.lag is None or group.lag > limits.max_lag):
        lag = "an unknown number" if group.lag is None else group.lag
        exceeded.append(ExceededLimit("lag", name, f"{name}: {lag} not delivered, {limits.max_lag} at most"))
    if limits.max_age_seconds is not None and group.oldest_seconds > limits.max_age_seconds:
        age, most = group.oldest_seconds, limits.max_age_seconds
        exceeded.append(ExceededLimit("age", name, f"{name}: the oldest waits for {age:.1f} s, {most:g} s at most"))
    return exceeded


def group_kind(
    name: str,
    consumers: Sequence[ConsumerFigures],
    *,
    members: Heartbeats,
    external: Collection[str],
) -> GroupKind:
    """``external`` are the groups declared as such.

    Without a declaration a group is external if none of its consumers ever sent a heartbeat, or if one without
    heartbeats is active while the others have expired. The default group is external by declaration alone.
    """
    if name in external:
        return "external"
    if name == DEFAULT_GROUP:
        return "own"
    is_silent = not any(one.alive for one in consumers)
    if is_silent and any(one.is_active and not members.has_record(name, one.name) for one in consumers):
        return "external"
    if members.is_served(name):
        return "own"
    return "heartbeat" if members.has_any(name) else "external"


def drain_seconds(notes: str, *, handled: int | None, waiting: int | None, now_ms: int) -> float | None:
    """Seconds until all waiting entries are handled if none are added; None if unknown or without progress.

    ``notes`` are the samples of ``record_pace``, ``<Unix ms> <entries handled>`` once or twice, older first;
    ``handled`` is the current value of the same counter.
    """
    if waiting == 0:
        return 0.0
    words = notes.split()
    if len(words) < 2 or handled is None or waiting is None:
        return None
    elapsed_ms, done = now_ms - int(words[0]), handled - int(words[1])
    if elapsed_ms < _MIN_ELAPSED_MS or done <= 0:
        return None
    return waiting * elapsed_ms / 1000 / done


def lag_text(figures: StreamFigures) -> str:
    """One line for the stream, per group and per consumer, with advice for groups that are behind."""
    return "\n".join(_lines(figures))


def _lines(figures: StreamFigures) -> Iterator[str]:
    yield f"{figures.stream}: {figures.length} entries"
    if not figures.groups:
        yield "  no groups yet"
    for group in figures.groups:
        yield (
            f"  {group.name}: {group.pending} pending (oldest {_seconds(group.oldest_pending_seconds)}), "
            f"{lag_label(group)} not delivered (oldest {_seconds(group.oldest_undelivered_seconds)}), "
            f"{drain_label(group)}"
        )
        for consumer in group.consumers:
            idle = _seconds(consumer.idle_seconds)
            yield f"    {consumer.name}: {consumer.pending} pending, idle {idle}, {state_label(group, consumer)}"
        if hint := advice_for(group):
            yield f"    {hint}"


def state_label(group: GroupFigures, consumer: ConsumerFigures) -> str:
    """``alive`` or ``no heartbeat``; a consumer of an external group is ``active`` or ``inactive``."""
    if consumer.alive:
        return "alive"
    if group.kind == "external" and consumer.idle_seconds is not None:
        return "active" if consumer.is_active else "inactive"
    return "no heartbeat"


def advice_for(group: GroupFigures) -> str:
    """What an operator can do about a group that has no consumer or is behind; empty when it is healthy.

    A consumer without heartbeats counts as active if it used Redis recently. ``consume_signals`` is advised only for
    groups that it serves, because elsewhere it would take the signals of another program.
    """
    if not group.has_work:
        return ""
    forget = (
        "" if group.name == keys.DEFAULT_GROUP else f"; if it is no longer needed: signal_groups --forget {group.name}"
    )
    is_old = group.oldest_seconds > BEHIND_SECONDS
    if any(one.is_active for one in group.consumers):
        return _behind_advice(group) if is_old else ""
    if group.kind == "own":
        return f"no live consumer: start consume_signals --group {group.name}{forget}"
    if group.kind == "heartbeat":
        return f"none of its consumers sends a heartbeat: start its program{forget}"
    return f"its program has not read for {ACTIVE_SECONDS:.0f} s: start it{forget}" if is_old else ""


def _behind_advice(group: GroupFigures) -> str:
    if group.kind == "own":
        return f"it is behind: start one more consume_signals --group {group.name}"
    return "it is behind: check the program that reads it"


def lag_label(group: GroupFigures) -> str:
    """``12``, ``about 40000`` or ``an unknown number``."""
    if group.lag is None:
        return "an unknown number"
    return str(group.lag) if group.lag_exact else f"about {group.lag}"


def drain_label(group: GroupFigures) -> str:
    """``nothing waits``, ``done in about 12 s`` or ``done at an unknown time``."""
    if group.drain_seconds is None:
        return "done at an unknown time"
    return f"done in about {group.drain_seconds:.0f} s" if group.drain_seconds else "nothing waits"


def _seconds(age_seconds: float | None) -> str:
    return "none" if age_seconds is None else f"{age_seconds:.1f} s"

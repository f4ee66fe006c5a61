"""How far the groups are behind, as figures and as limits passed. What is not known is None, never 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from signals_app.rules.members import Death
from signals_app.rules.option_range import check_range

_LARGEST_LIMIT = 10**12


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    """``alive`` says whether its heartbeat is current; foreign consumers have none. ``idle_seconds`` is None when it
    was not read."""

    name: str
    pending: int
    idle_seconds: float | None
    alive: bool


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """``lag`` counts the entries not yet delivered to the group: counted if ``lag_exact``, else the server's own
    estimate, or None. Ages are those of the entries, None when there is no such entry. ``drain_seconds`` is how long
    the group will need for all that waits at its pace of the last minute, None when that is not known or never ends."""

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
    deaths: Sequence[Death]

    @property
    def has_work(self) -> bool:
        """Whether something waits, or may."""
        return self.pending > 0 or self.lag != 0

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest entry the group still has to handle, 0 when there is none."""
        return max(self.oldest_pending_seconds or 0.0, self.oldest_undelivered_seconds or 0.0)


@dataclass(frozen=True, slots=True)
class UnaskedGroup(GroupFigures):
    """A group that was not asked for its ages and for who holds what."""

    ages_known: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """``added`` counts every entry there ever was, None where the server does not."""

    stream: str
    length: int
    groups: Sequence[GroupFigures]
    added: int | None = None


@dataclass(frozen=True, slots=True)
class LagLimits:
    """None means no limit. ``max_length`` is the stream's hard cap. Raises ValueError for a limit that would never, or
    always, be passed: a negative one, or no finite number."""

    max_pending: int | None = 1_000
    max_lag: int | None = None
    max_age_seconds: float | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        named = {"--max-pending": self.max_pending, "--max-lag": self.max_lag, "--max-age": self.max_age_seconds}
        for name, limit in named.items():
            if limit is not None:
                check_range(name, limit, 0, _LARGEST_LIMIT)


def limits_passed(figures: StreamFigures, limits: LagLimits) -> list[str]:
    """One sentence for each limit that is passed; a lag that is not known passes any limit."""
    passed = []
    if limits.max_length is not None and figures.length >= limits.max_length:
        passed.append(f"{figures.stream} is full: {figures.length} entries, publishers are refused")
    for group in figures.groups:
        passed += _passed_by(group, limits)
    return passed


def _passed_by(group: GroupFigures, limits: LagLimits) -> list[str]:
    passed = []
    if limits.max_pending is not None and group.pending > limits.max_pending:
        passed.append(f"{group.name}: {group.pending} pending, {limits.max_pending} at most")
    if limits.max_lag is not None and (group.lag is None or group.lag > limits.max_lag):
        lag = "an unknown number" if group.lag is None else group.lag
        passed.append(f"{group.name}: {lag} not delivered, {limits.max_lag} at most")
    if limits.max_age_seconds is not None and group.oldest_seconds > limits.max_age_seconds:
        passed.append(
            f"{group.name}: the oldest waits for {group.oldest_seconds:.1f} s, {limits.max_age_seconds:g} s at most"
        )
    return passed

"""The freshness of a state: whether it may be served as current. Every reader uses these rules."""

import math
from dataclasses import dataclass
from enum import Enum

from regime.domain.state import StoredState

LIFE_SECONDS = 86_400
FUTURE_TOLERANCE_SECONDS = 300


class Freshness(Enum):
    CURRENT = "current"
    EXPIRED = "expired"
    UNKNOWN_AGE = "unknown age"
    FUTURE_STAMP = "future stamp"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The freshness of one state. ``computed_at`` and ``expires_at`` are Unix seconds; all but ``freshness``
    are None when the age is unknown."""

    freshness: Freshness
    computed_at: float | None = None
    age_seconds: float | None = None
    expires_at: float | None = None

    @property
    def is_current(self) -> bool:
        return self.freshness is Freshness.CURRENT


def judge(state: StoredState, now: float) -> Judgement:
    """The age of ``state`` at ``now`` (Unix seconds) and what follows from it (docs/keys.md)."""
    computed_at = known_computed_at(state.computed_at, state.expires_at, state.backfilled_at)
    if computed_at is None:
        return Judgement(Freshness.UNKNOWN_AGE)
    ends = computed_at + LIFE_SECONDS
    expires_at = ends if state.expires_at is None else min(ends, state.expires_at)
    return Judgement(freshness_at(computed_at, now), computed_at, max(0.0, now - computed_at), expires_at)


def known_computed_at(computed_at: float | None, expires_at: float | None, backfilled_at: float | None) -> float | None:
    """When the state was computed: by its stamp or, without one, by its expiry, unless the backfill set that."""
    if computed_at is not None:
        return None if math.isnan(computed_at) else computed_at
    if expires_at is None or is_from_backfill(expires_at, backfilled_at):
        return None
    return expires_at - LIFE_SECONDS


def is_from_backfill(expires_at: float, backfilled_at: float | None) -> bool:
    """Whether the expiry is the one that the backfill gave: a full life from ``backfilled_at``, to the millisecond."""
    if backfilled_at is None:
        return False
    return math.isnan(backfilled_at) or abs(expires_at - LIFE_SECONDS - backfilled_at) < 0.0015


def freshness_at(computed_at: float, now: float) -> Freshness:
    """The freshness of a state of known age; both times in Unix seconds."""
    age_seconds = now - computed_at
    if age_seconds < -FUTURE_TOLERANCE_SECONDS:
        return Freshness.FUTURE_STAMP
    return Freshness.CURRENT if age_seconds < LIFE_SECONDS else Freshness.EXPIRED

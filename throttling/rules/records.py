"""The words of the limiter: a policy, a hit on it, and what came of it. Pure values."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

BUCKETS = 25
"""Sub-buckets a window. A unit is given back when its whole bucket has left the window, so at most one bucket
(1/25 of the window) later than ideal: a client that takes all it can gets 25/26 = 96.2 % of its limit."""


def whole_seconds(ms: int) -> int:
    """A wait as callers are told it, in every field and text alike: rounded up, so that waiting it is enough."""
    return ceil(ms / 1000)


@dataclass(frozen=True, slots=True)
class Policy:
    """At most ``limit`` units in every rolling ``window_seconds``; in ``shadow`` it counts but refuses nothing."""

    name: str
    limit: int
    window_seconds: int
    shadow: bool = False

    @property
    def bucket_ms(self) -> int:
        return self.window_seconds * 1000 // BUCKETS

    def units(self, cost: int) -> int:
        """What a request of ``cost`` takes: a route dearer than the whole limit takes the whole limit."""
        return min(cost, self.limit)


@dataclass(frozen=True, slots=True)
class Hit:
    """One request of ``subject`` that wants ``cost`` units of every policy; a look wants only to know if it could."""

    subject: str
    policies: tuple[Policy, ...]
    cost: int = 1
    is_look: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a subject stands under one policy: units used, and the time until the oldest of them comes back."""

    used: int
    frees_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a hit: ``wait_ms`` 0 lets it through; else nothing was charged. ``exact`` is false for a guess."""

    hit: Hit
    wait_ms: int
    standings: tuple[Standing, ...]
    exact: bool = True

    @property
    def allowed(self) -> bool:
        return self.wait_ms == 0

    @property
    def charged(self) -> bool:
        return self.allowed and not self.hit.is_look

    @property
    def is_open(self) -> bool:
        """Let through on a look alone: it is still to be charged, or to be let go."""
        return self.allowed and self.hit.is_look and self.hit.cost > 0

    @property
    def retry_after_seconds(self) -> int:
        return whole_seconds(self.wait_ms)

    def after(self, elapsed_ms: int) -> Self | None:
        """The same refusal ``elapsed_ms`` later; None once units may have come back."""
        later = tuple(replace(standing, frees_ms=standing.frees_ms - elapsed_ms) for standing in self.standings)
        wait_ms = self.wait_ms - elapsed_ms
        if wait_ms <= 0 or any(standing.used and standing.frees_ms <= 0 for standing in later):
            return None
        return replace(self, wait_ms=wait_ms, standings=later)

    def remaining(self) -> list[int]:
        """Units left under each policy."""
        return [
            max(0, policy.limit - standing.used)
            for policy, standing in zip(self.hit.policies, self.standings, strict=True)
        ]

    def passed(self) -> list[Policy]:
        """The policies whose limit this hit would pass, or, in shadow, has passed."""
        return [
            policy
            for policy, standing in zip(self.hit.policies, self.standings, strict=True)
            if standing.used + (0 if self.charged else policy.units(self.hit.cost)) > policy.limit
        ]

"""The words of the limiter: a policy, a hit on it, and what came of it. Pure values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Self

BUCKETS = 25
"""Sub-buckets a window. A unit is given back when its whole bucket has left the window, so at most one bucket
(1/25 of the window) later than ideal: a client that takes all it can gets 25/26 = 96.2 % of its limit."""
CONDITIONAL_MULTIPLE = 10
"""Conditional requests that a subject may make without charge, as a multiple of each of its limits."""


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


@lru_cache(maxsize=1024)
def conditional_allowance(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """How many conditional requests are free beside ``policies``, in the same windows."""
    return tuple(replace(policy, limit=policy.limit * CONDITIONAL_MULTIPLE) for policy in policies)


@dataclass(frozen=True, slots=True)
class Hit:
    """One request of ``subject`` that wants ``cost`` units of every policy; a look wants only to know if it could.

    What a look costs in the windows of its ``allowance`` is charged at once.
    """

    subject: str
    policies: tuple[Policy, ...]
    cost: int = 1
    is_look: bool = False
    allowance: tuple[Policy, ...] = ()

    @property
    def checked_only(self) -> int:
        """How many policies are not charged: none, or those before the allowance, which comes last."""
        return len(self.policies) if self.is_look or not self.cost else 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a subject stands under one policy: units used, and the time until the oldest of them comes back."""

    used: int
    frees_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a hit: ``wait_ms`` 0 lets it through; else nothing was charged. ``exact`` is false for a guess,
    and ``is_allowance_used_up`` true for a look that was refused for its allowance.
    """

    hit: Hit
    wait_ms: int
    standings: tuple[Standing, ...]
    exact: bool = True
    is_allowance_used_up: bool = False

    @classmethod
    def of(cls, hit: Hit, wait_ms: int, standings: Sequence[Standing], exact: bool = True) -> Self:
        """``standings`` are those under the policies, then those under the allowance."""
        own = len(hit.policies)
        is_used_up = wait_ms > 0 and any(
            standing.used + policy.units(hit.cost) > policy.limit and not policy.shadow
            for policy, standing in zip(hit.allowance, standings[own:], strict=True)
        )
        return cls(hit, wait_ms, tuple(standings[:own]), exact, is_used_up)

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

    def affordable(self) -> int:
        """The largest cost that no policy would refuse."""
        limiting = zip(self.hit.policies, self.remaining(), strict=True)
        return min((left for policy, left in limiting if not policy.shadow), default=0)

    def passed(self) -> list[Policy]:
        """The policies whose limit this hit would pass, or, in shadow, has passed."""
        return [
            policy
            for policy, standing in zip(self.hit.policies, self.standings, strict=True)
            if standing.used + (0 if self.charged else policy.units(self.hit.cost)) > policy.limit
        ]

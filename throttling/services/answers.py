"""What an answer says about limits: the fields of draft-ietf-httpapi-ratelimit-headers-11, and the 429 itself."""

from dataclasses import dataclass
from functools import lru_cache

from avo_project.http.problems import Problem
from throttling.domain.policies import Outcome, Policy, whole_seconds
from throttling.services.rate_limiter import Decision

STREAMS = "avo.streams"
"""Where the META of a request for a live stream has its ``Streams``."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The live streams that a subject may have open at a time, and how many it has."""

    limit: int
    used: int


def fields(outcome: Outcome, streams: Streams | None = None) -> dict[str, str]:
    """``RateLimit-Policy`` and ``RateLimit``; none while limits are local guesses. A policy in shadow is not told."""
    policies = policy_field(outcome.hit.policies)
    if not (outcome.exact and policies):
        return {}
    headers = {"RateLimit-Policy": policies, "RateLimit": limit_field(outcome)}
    if streams:
        headers["RateLimit-Policy"] += f', "streams";q={streams.limit};qu="concurrent-requests"'
        headers["RateLimit"] += f', "streams";r={max(0, streams.limit - streams.used)}'
    return headers


@lru_cache(maxsize=1024)
def policy_field(policies: tuple[Policy, ...]) -> str:
    """For example ``"minute";q=60;w=60, "day";q=5000;w=86400`` (draft 11, section 3)."""
    return ", ".join(
        f'"{policy.name}";q={policy.limit};w={policy.window_seconds}' for policy in policies if not policy.shadow
    )


def limit_field(outcome: Outcome) -> str:
    """For example ``"minute";r=37;t=12``: 37 units for the next 12 s, then more (draft 11, section 4)."""
    return ", ".join(
        f'"{policy.name}";r={left};t={reset_seconds(policy, window.frees_ms, window.used)}'
        for policy, left, window in zip(outcome.hit.policies, outcome.remaining(), outcome.windows, strict=True)
        if not policy.shadow
    )


def reset_seconds(policy: Policy, frees_ms: int, used: int) -> int:
    """Whole seconds until more is left than now; for an untouched window, its length."""
    return whole_seconds(frees_ms) if used else policy.window_seconds


def rejection(decision: Decision) -> Problem:
    """429 for a rejected request, with the extension member of draft 11, section 5.1."""
    outcome = decision.outcome
    names = [policy.name for policy in outcome.passed() if not policy.shadow]
    limits = policy_field(outcome.hit.policies)
    return Problem(
        429,
        "rate-limited",
        f"The limit of tier {decision.quota.tier} is reached ({limits}). Try again in {outcome.retry_after_seconds} s.",
        members={"violated-policies": names, "tier": decision.quota.tier},
        headers={"Retry-After": str(outcome.retry_after_seconds)},
    )

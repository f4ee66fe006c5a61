"""Rate limits in HTTP: the fields of draft-ietf-httpapi-ratelimit-headers-11, and the 429 response."""

from dataclasses import dataclass
from functools import lru_cache

from avo_project.http.problems import Problem
from throttling.domain.policies import Outcome, Policy, whole_seconds
from throttling.services.rate_limiter import Decision

STREAMS = "avo.streams"
"""The key in a request's META under which the ``Streams`` of a live stream are stored."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The limit of concurrent live streams of a subject, and the number in use."""

    limit: int
    used: int


def fields(outcome: Outcome, streams: Streams | None = None) -> dict[str, str]:
    """``RateLimit-Policy`` and ``RateLimit``, without shadow policies; empty for decisions of the local fallback."""
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
    """Whole seconds until units return; for an unused window, its length."""
    return whole_seconds(frees_ms) if used else policy.window_seconds


def rejection(decision: Decision) -> Problem:
    """The 429 of a rejected request, with the extension member of draft 11, section 5.1."""
    outcome = decision.outcome
    names = [policy.name for policy in outcome.exceeded() if not policy.shadow]
    limits = policy_field(outcome.hit.policies)
    return Problem(
        429,
        "rate-limited",
        f"The limit of tier {decision.quota.tier} is reached ({limits}). Try again in {outcome.retry_after_seconds} s.",
        members={"violated-policies": names, "tier": decision.quota.tier},
        headers={"Retry-After": str(outcome.retry_after_seconds)},
    )

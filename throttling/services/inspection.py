"""Read-only access to live limits, for the admin, the metrics and ``/api/limits``."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from django.utils import timezone

from throttling.conf import ThrottlingConf
from throttling.domain.policies import (
    ANONYMOUS,
    BAD_TOKEN,
    FAILED_LOGIN,
    FREE,
    INSTITUTIONAL,
    Outcome,
    Policy,
    RatesError,
    parse_policies,
    tier_of,
)
from throttling.services.answers import reset_seconds
from throttling.services.callers import current_plan
from throttling.services.overrides import override_row
from throttling.store.usage_stats import Busy, UsageStats
from throttling.store.window_limiter import WindowLimiter


@dataclass(frozen=True, slots=True)
class SubjectView:
    """The tier, the reason for it and the current windows of one subject."""

    subject: str
    tier: str
    why: str
    outcome: Outcome


def window_stats(outcome: Outcome) -> list[dict[str, Any]]:
    """One dictionary per policy, as in JSON responses."""
    return [
        {
            "name": policy.name,
            "limit": policy.limit,
            "window_seconds": policy.window_seconds,
            "remaining": left,
            "reset_seconds": reset_seconds(policy, window.frees_ms, window.used),
            "shadow": policy.shadow,
        }
        for policy, left, window in zip(outcome.hit.policies, outcome.remaining(), outcome.windows, strict=True)
    ]


class Inspection:
    """Reads live state. Every method may raise RedisError."""

    def __init__(self, limiter: WindowLimiter, usage: UsageStats, clock: Callable[[], float] = time.time) -> None:
        self._limiter, self._usage, self._clock = limiter, usage, clock

    @classmethod
    def connect(cls) -> Self:
        return cls(WindowLimiter.connect(), UsageStats.connect())

    def rejections(self, minutes: int = 60) -> dict[str, list[int]]:
        """Rejections per tier in the last ``minutes``, one number per minute."""
        return self._usage.rejections(self._clock(), minutes)

    def busiest(self) -> list[Busy]:
        return self._usage.busiest(self._clock())

    def most_rejected(self, count: int = 20) -> list[Busy]:
        return self._usage.most_rejected(self._clock(), count)

    def totals(self) -> dict[str, int]:
        """Requests by ``allowed|<tier>``, ``refused|<tier>`` and ``degraded``."""
        return self._usage.totals()

    def subject(self, subject: str) -> SubjectView:
        tier, why, policies = self._account(subject)
        return SubjectView(subject, tier, why, self._limiter.test(subject, policies))

    def _account(self, subject: str) -> tuple[str, str, tuple[Policy, ...]]:
        rates = ThrottlingConf.load().rates
        tier, why = self._tier(subject, list(rates))
        override = override_row(subject)
        if override is None or (override.expires_at and override.expires_at <= timezone.now()):
            return tier, why, rates[tier]
        try:
            policies = parse_policies(override.rates) if override.rates else rates[override.tier]
        except (RatesError, KeyError):
            return tier, f"{why}; its override is invalid", rates[tier]
        who = f" by {override.created_by}" if override.created_by else ""
        return override.tier or tier, f"override{who}: {override.reason}", policies

    def _tier(self, subject: str, tiers: list[str]) -> tuple[str, str]:
        kind = subject.partition(":")[0]
        if kind == "address":
            return ANONYMOUS, "not signed in"
        if kind == "bad_token":
            return BAD_TOKEN, "sent bad tokens"
        if kind == "login":
            return FAILED_LOGIN, "failed log-ins"
        if subject.removeprefix("user:").isdigit():
            return INSTITUTIONAL, "service account"
        if seen := self._usage.seen_tier(subject, tiers, self._clock()):
            return seen, "tier of its recent requests"
        if plan := current_plan(subject):
            return tier_of(plan, ThrottlingConf.load().clerk_plan_tiers), f"plan {plan} reported by Clerk"
        return FREE, "no recent requests and no reported plan"

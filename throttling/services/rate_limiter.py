"""The rate limiter: exact in Redis, a local limit per process while Redis does not answer."""

import logging
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Self

from prometheus_client import Counter
from redis.exceptions import RedisError

from avo_project.lib.circuit_breaker import CircuitBreaker
from throttling.conf import ThrottlingConf
from throttling.domain import subjects
from throttling.domain.policies import (
    ANONYMOUS,
    BAD_TOKEN,
    FAILED_LOGIN,
    INSTITUTIONAL,
    Hit,
    Outcome,
    Policy,
    conditional_allowance,
)
from throttling.domain.rejections import RejectionMemo
from throttling.domain.rolling_windows import RollingWindows
from throttling.services.callers import ClerkUser, Quota
from throttling.services.overrides import Overrides
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.window_limiter import WindowLimiter

logger = logging.getLogger(__name__)

DEGRADED = Counter("avo_throttle_degraded", "Requests judged by a local guess because Redis did not answer")


class WindowLimiterWithFallback:
    """Exact while Redis answers. While it does not, each of the ``processes`` lets its share of every limit through."""

    def __init__(
        self, limiter: WindowLimiter, processes: int = 1, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter, self._processes, self._monotonic = limiter, processes, monotonic
        self._local, self._breaker, self._memo = RollingWindows(), CircuitBreaker(), RejectionMemo()

    @classmethod
    def connect(cls, conf: ThrottlingConf) -> Self:
        return cls(WindowLimiter.connect(), conf.processes)

    def recall(self, hit: Hit) -> Outcome | None:
        """The rejection of ``hit`` if it is known without asking."""
        return self._memo.recall(hit, self._monotonic())

    def hit(self, hit: Hit) -> Outcome:
        """Charges ``hit`` or rejects it; never raises. A look beyond its allowance is charged."""
        now = self._monotonic()
        outcome = self._memo.recall(hit, now)
        if outcome is not None:
            return outcome
        outcome = self._exactly(hit, now) or self._locally(hit, now)
        if outcome.is_allowance_used_up:
            return self.hit(replace(hit, is_test=False, allowance=()))
        if not outcome.allowed and hit.cost:
            self._memo.keep(outcome, now)
        return outcome

    def _exactly(self, hit: Hit, now: float) -> Outcome | None:
        if not self._breaker.allows(now):
            return None
        try:
            outcome = self._limiter.hit(hit)
        except RedisError as failure:
            self._trip(self._monotonic(), failure)
            return None
        if self._breaker.reset():
            logger.warning("the throttling Redis answers again: limits are exact")
        return outcome

    def _locally(self, hit: Hit, now: float) -> Outcome:
        DEGRADED.inc()
        share = replace(hit, policies=self._shares(hit.policies), allowance=self._shares(hit.allowance))
        return replace(self._local.hit(share, int(now * 1000)), hit=hit)

    def _shares(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(replace(policy, limit=ceil(policy.limit / self._processes)) for policy in policies)

    def _trip(self, now: float, failure: RedisError) -> None:
        if self._breaker.trip(now):
            logger.error("the throttling Redis does not answer, limits are local guesses for now: %s", failure)


REQUESTS = Counter("avo_throttle_requests", "Requests judged", ["tier", "outcome"])
DECISION = "avo.rate_limit"
Meta = MutableMapping[str, Any]

SHADOW_REJECTIONS = Counter(
    "avo_throttle_shadow_refusals", "Requests that a policy in shadow would have refused", ["tier", "policy"]
)


def count_from_zero(rates: Mapping[str, tuple[Policy, ...]]) -> None:
    """Shows every counter before the first request, without which a rate would miss it."""
    for tier, policies in rates.items():
        for word in ("allowed", "refused"):
            REQUESTS.labels(tier, word)
        for policy in policies:
            if policy.shadow:
                SHADOW_REJECTIONS.labels(tier, policy.name)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a request was charged, on whose account."""

    quota: Quota
    outcome: Outcome


class RateLimiter:
    """Charges requests, of which it knows the META; the decision of the last charge is kept there in ``DECISION``."""

    def __init__(
        self, conf: ThrottlingConf, limiter: WindowLimiterWithFallback, overrides: Overrides, usage: UsageRecorder
    ) -> None:
        self._conf, self._limiter, self._overrides, self._usage = conf, limiter, overrides, usage
        self._allowed, self._rejected = (
            {tier: REQUESTS.labels(tier, word) for tier in conf.rates} for word in ("allowed", "refused")
        )

    def quota(self, meta: Meta, user: Any) -> Quota:
        """Whose account a request is on, with the customer's override if there is one."""
        subject, tier, why = self._account(meta, user)
        override = self._overrides.find(subject)
        if override:
            return Quota(subject, override.tier or tier, override.policies, f"override: {override.reason}")
        return Quota(subject, tier, self._conf.rates[tier], why)

    def charge(self, meta: Meta, user: Any, cost: int = 1) -> Decision:
        """Charges a request or rejects it."""
        return self._charge(meta, self.quota(meta, user), cost)

    def test(self, meta: Meta, user: Any, cost: int = 1) -> Decision:
        """Rejects what ``charge`` would reject, and charges nothing. While the outcome is pending, the caller must
        ``commit`` or ``release`` it. Beyond the allowance of free conditional requests the request is charged at once.
        With ``cost`` 0 this only reads the windows.
        """
        quota = self.quota(meta, user)
        allowance = conditional_allowance(quota.policies) if cost else ()
        hit = Hit(quota.subject, quota.policies, cost, is_test=True, allowance=allowance)
        decision = self._keep(meta, Decision(quota, self._limiter.hit(hit)))
        return decision if decision.outcome.is_pending or not cost else self._settle(decision)

    def commit(self, meta: Meta, tested: Decision) -> Decision:
        """Charges what was only looked at, or rejects it now: others may have taken what was left."""
        return self._charge(meta, tested.quota)

    def charge_extra(self, meta: Meta, charged: Decision, cost: int) -> Decision:
        """Charges what an answer cost beyond what was ``charged`` before it was made, as far as there are units."""
        quota, missing = charged.quota, cost - charged.outcome.hit.cost
        outcome = self._limiter.hit(Hit(quota.subject, quota.policies, missing))
        if not outcome.allowed and (left := outcome.affordable()):
            outcome = self._limiter.hit(Hit(quota.subject, quota.policies, left))
        return self._keep(meta, Decision(quota, outcome))

    def release(self, tested: Decision) -> None:
        """Lets go what was only looked at."""
        self._count(tested)

    def charge_bad_token(self, meta: Meta) -> Decision:
        """Charges the address that sent a bad token."""
        return self._charge(meta, self._bad_token_quota(meta))

    def blocked(self, meta: Meta) -> Decision | None:
        """The rejection of an address that has sent too many bad tokens, known before its next one is looked at."""
        quota = self._bad_token_quota(meta)
        outcome = self._limiter.recall(Hit(quota.subject, quota.policies))
        return None if outcome is None else self._keep(meta, Decision(quota, outcome))

    def blocked_login(self, meta: Meta, account: str) -> Decision | None:
        """The rejection of an account or an address with too many failed log-ins, before its next one."""
        decisions = [
            Decision(quota, self._limiter.hit(Hit(quota.subject, quota.policies, is_test=True)))
            for quota in self._failed_login_quotas(meta, account)
        ]
        rejected = [decision for decision in decisions if not decision.outcome.allowed]
        for decision in rejected:
            self._count(decision)
        return max(rejected, key=lambda decision: decision.outcome.wait_ms, default=None)

    def charge_failed_login(self, meta: Meta, account: str) -> list[Decision]:
        """Charges a failed log-in to ``account`` and to its address, each as far as its limit goes."""
        return [
            self._settle(Decision(quota, self._limiter.hit(Hit(quota.subject, quota.policies))))
            for quota in self._failed_login_quotas(meta, account)
        ]

    def _charge(self, meta: Meta, quota: Quota, cost: int = 1) -> Decision:
        decision = Decision(quota, self._limiter.hit(Hit(quota.subject, quota.policies, cost)))
        return self._settle(self._keep(meta, decision))

    def _settle(self, decision: Decision) -> Decision:
        self._count(decision)
        for policy in decision.outcome.passed() if decision.outcome.allowed else ():
            SHADOW_REJECTIONS.labels(decision.quota.tier, policy.name).inc()
        return decision

    def _count(self, decision: Decision) -> None:
        tier, allowed = decision.quota.tier, decision.outcome.allowed
        (self._allowed if allowed else self._rejected)[tier].inc()
        self._usage.count(tier, decision.quota.subject, not allowed)

    def _keep(self, meta: Meta, decision: Decision) -> Decision:
        meta[DECISION] = decision
        return decision

    def _account(self, meta: Meta, user: Any) -> tuple[str, str, str]:
        if isinstance(user, ClerkUser):
            return user.subject, user.tier, user.why
        if user is not None and user.is_authenticated:
            return f"user:{user.pk}", INSTITUTIONAL, "service account"
        return self._address(meta), ANONYMOUS, "not signed in"

    def _bad_token_quota(self, meta: Meta) -> Quota:
        return Quota(f"bad_token:{self._address(meta)}", BAD_TOKEN, self._conf.rates[BAD_TOKEN], "bad token")

    def _failed_login_quotas(self, meta: Meta, account: str) -> list[Quota]:
        policies = self._conf.rates[FAILED_LOGIN]
        subjects = (f"login:{account}", f"login:{self._address(meta)}")
        return [Quota(subject, FAILED_LOGIN, policies, "failed log-ins") for subject in subjects]

    def _address(self, meta: Meta) -> str:
        return subjects.of_address(
            meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), self._conf.num_proxies
        )

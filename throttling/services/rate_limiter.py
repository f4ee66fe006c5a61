"""The rate limiter: exact windows in Redis, and windows of this process while Redis does not answer."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from prometheus_client import Counter
from redis.exceptions import RedisError

from avo_project.lib.bounded_dict import BoundedDict
from avo_project.lib.circuit_breaker import CircuitBreaker
from throttling.conf import ThrottlingConf
from throttling.domain.policies import Hit, Outcome, Policy, conditional_allowance
from throttling.domain.rolling_windows import RollingWindows
from throttling.services.callers import Meta, Quota, Quotas
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.window_limiter import WindowLimiter

logger = logging.getLogger(__name__)

MEMO_SECONDS = 1.0  # delay until an operator's reset takes effect
_MAX_SUBJECTS = 10_000

DECISION = "avo.rate_limit"
"""The key in a request's META under which the last ``Decision`` is stored; None when nothing may be charged."""

DEGRADED = Counter("avo_throttle_degraded", "Requests decided by the local fallback because Redis did not answer")
REQUESTS = Counter("avo_throttle_requests", "Requests decided", ["tier", "outcome"])
SHADOW_REJECTIONS = Counter(
    "avo_throttle_shadow_refusals", "Requests that a policy in shadow mode would have rejected", ["tier", "policy"]
)


def count_from_zero(rates: Mapping[str, tuple[Policy, ...]]) -> None:
    """Creates every counter at 0: a rate over a counter that appears later would miss its first increment."""
    for tier, policies in rates.items():
        for word in ("allowed", "refused"):
            REQUESTS.labels(tier, word)
        for policy in policies:
            if policy.shadow:
                SHADOW_REJECTIONS.labels(tier, policy.name)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a request and the quota it was charged to."""

    quota: Quota
    outcome: Outcome


class RejectionMemo:
    """Caches the latest rejection of each subject. Answers only hits that Redis would also reject."""

    def __init__(self) -> None:
        self._rejections: BoundedDict[str, tuple[Outcome, float]] = BoundedDict(_MAX_SUBJECTS)

    def recall(self, hit: Hit, now: float) -> Outcome | None:
        """The rejection of ``hit`` at ``now`` (monotonic seconds), or None if unknown."""
        kept = self._rejections.get(hit.subject)
        if kept is None:
            return None
        outcome, at = kept
        if now - at >= MEMO_SECONDS or hit.cost < outcome.hit.cost or hit.policies != outcome.hit.policies:
            return None
        return outcome.after(int((now - at) * 1000))

    def keep(self, outcome: Outcome, now: float) -> None:
        self._rejections[outcome.hit.subject] = (outcome, now)


class RateLimiter:
    """Charges requests to their quotas, or rejects them, and stores each ``Decision`` in the request's META.

    While Redis does not answer, a circuit breaker stops calling it, and each of the ``processes`` allows its share
    of every limit. Recent rejections are answered from memory. No method raises.
    """

    def __init__(
        self,
        conf: ThrottlingConf,
        limiter: WindowLimiter,
        quotas: Quotas,
        usage: UsageRecorder,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter, self._quotas, self._usage, self._monotonic = limiter, quotas, usage, monotonic
        self._fallback, self._processes = RollingWindows(), conf.processes
        self._breaker, self._memo = CircuitBreaker(), RejectionMemo()
        self._allowed, self._rejected = (
            {tier: REQUESTS.labels(tier, word) for tier in conf.rates} for word in ("allowed", "refused")
        )

    def quota(self, meta: Meta, user: Any) -> Quota:
        """The quota of the caller, with the override of its subject if there is one."""
        return self._quotas.of(meta, user)

    def charge(self, meta: Meta, user: Any, cost: int = 1) -> Decision:
        """Charges a request, or rejects it."""
        return self._charge(meta, self.quota(meta, user), cost)

    def test(self, meta: Meta, user: Any, cost: int = 1) -> Decision:
        """Rejects what ``charge`` would reject, and charges nothing. While the outcome is pending, the caller must
        ``commit`` or ``release`` it. Beyond the allowance of free conditional requests the request is charged at once.
        With ``cost`` 0 this only reads the windows.
        """
        quota = self.quota(meta, user)
        allowance = conditional_allowance(quota.policies) if cost else ()
        hit = Hit(quota.subject, quota.policies, cost, is_test=True, allowance=allowance)
        decision = self._store(meta, Decision(quota, self.hit(hit)))
        return decision if decision.outcome.is_pending or not cost else self._record(decision)

    def commit(self, meta: Meta, tested: Decision) -> Decision:
        """Charges a tested request, or rejects it if others have used the remaining units since."""
        return self._charge(meta, tested.quota)

    def release(self, tested: Decision) -> None:
        """Ends a tested request without a charge."""
        self._count(tested)

    def charge_extra(self, meta: Meta, charged: Decision, cost: int) -> Decision:
        """Charges what an answer cost beyond the units in ``charged``, up to the units that are left."""
        quota, missing = charged.quota, cost - charged.outcome.hit.cost
        outcome = self.hit(Hit(quota.subject, quota.policies, missing))
        if not outcome.allowed and (left := outcome.affordable()):
            outcome = self.hit(Hit(quota.subject, quota.policies, left))
        return self._store(meta, Decision(quota, outcome))

    def charge_bad_token(self, meta: Meta) -> Decision:
        """Charges the address that sent a bad token."""
        return self._charge(meta, self._quotas.bad_token(meta))

    def blocked(self, meta: Meta) -> Decision | None:
        """The remembered rejection of an address that has sent too many bad tokens. Makes no round trip."""
        quota = self._quotas.bad_token(meta)
        outcome = self._memo.recall(Hit(quota.subject, quota.policies), self._monotonic())
        return None if outcome is None else self._store(meta, Decision(quota, outcome))

    def blocked_login(self, meta: Meta, account: str) -> Decision | None:
        """The rejection of an account or an address with too many failed log-ins."""
        decisions = [
            Decision(quota, self.hit(Hit(quota.subject, quota.policies, is_test=True)))
            for quota in self._quotas.failed_login(meta, account)
        ]
        rejected = [decision for decision in decisions if not decision.outcome.allowed]
        for decision in rejected:
            self._count(decision)
        return max(rejected, key=lambda decision: decision.outcome.wait_ms, default=None)

    def charge_failed_login(self, meta: Meta, account: str) -> list[Decision]:
        """Charges a failed log-in to ``account`` and to its address, each up to its limit."""
        return [
            self._record(Decision(quota, self.hit(Hit(quota.subject, quota.policies))))
            for quota in self._quotas.failed_login(meta, account)
        ]

    def hit(self, hit: Hit) -> Outcome:
        """Charges ``hit``, or rejects it. A test that has used up its allowance is charged."""
        now = self._monotonic()
        outcome = self._memo.recall(hit, now)
        if outcome is not None:
            return outcome
        outcome = self._hit_redis(hit, now) or self._hit_fallback(hit, now)
        if outcome.is_allowance_used_up:
            return self.hit(replace(hit, is_test=False, allowance=()))
        if not outcome.allowed and hit.cost:
            self._memo.keep(outcome, now)
        return outcome

    def _hit_redis(self, hit: Hit, now: float) -> Outcome | None:
        if not self._breaker.allows(now):
            return None
        try:
            outcome = self._limiter.hit(hit)
        except RedisError as failure:
            self._trip(failure)
            return None
        if self._breaker.reset():
            logger.warning("throttling Redis available again, limits are exact")
        return outcome

    def _trip(self, failure: RedisError) -> None:
        if self._breaker.trip(self._monotonic()):
            logger.error("throttling Redis unavailable, using the local fallback: %s", failure)

    def _hit_fallback(self, hit: Hit, now: float) -> Outcome:
        DEGRADED.inc()
        share = replace(hit, policies=self._shares(hit.policies), allowance=self._shares(hit.allowance))
        return replace(self._fallback.hit(share, int(now * 1000)), hit=hit)

    def _shares(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(replace(policy, limit=ceil(policy.limit / self._processes)) for policy in policies)

    def _charge(self, meta: Meta, quota: Quota, cost: int = 1) -> Decision:
        decision = Decision(quota, self.hit(Hit(quota.subject, quota.policies, cost)))
        return self._record(self._store(meta, decision))

    def _store(self, meta: Meta, decision: Decision) -> Decision:
        meta[DECISION] = decision
        return decision

    def _record(self, decision: Decision) -> Decision:
        self._count(decision)
        for policy in decision.outcome.exceeded() if decision.outcome.allowed else ():
            SHADOW_REJECTIONS.labels(decision.quota.tier, policy.name).inc()
        return decision

    def _count(self, decision: Decision) -> None:
        tier, allowed = decision.quota.tier, decision.outcome.allowed
        (self._allowed if allowed else self._rejected)[tier].inc()
        self._usage.count(tier, decision.quota.subject, not allowed)

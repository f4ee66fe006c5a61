"""The one answer to a hit: from memory if it is known, from Redis if it answers, else a local guess."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Self

from prometheus_client import Counter
from redis.exceptions import RedisError

from avo_project.lib.circuit_breaker import CircuitBreaker
from throttling.conf import ThrottlingConf
from throttling.rules.records import Hit, Outcome, Policy
from throttling.rules.refusal_memo import RefusalMemo
from throttling.rules.rolling_windows import RollingWindows
from throttling.store.window_limiter import WindowLimiter

logger = logging.getLogger(__name__)

DEGRADED = Counter("avo_throttle_degraded", "Requests judged by a local guess because Redis did not answer")


class Gate:
    """Exact while Redis answers. While it does not, each of the ``processes`` lets its share of every limit through."""

    def __init__(
        self, limiter: WindowLimiter, processes: int = 1, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter, self._processes, self._monotonic = limiter, processes, monotonic
        self._local, self._breaker, self._memo = RollingWindows(), CircuitBreaker(), RefusalMemo()

    @classmethod
    def connect(cls, conf: ThrottlingConf) -> Self:
        return cls(WindowLimiter.connect(), conf.processes)

    def recall(self, hit: Hit) -> Outcome | None:
        """The refusal of ``hit`` if it is known without asking."""
        return self._memo.recall(hit, self._monotonic())

    def hit(self, hit: Hit) -> Outcome:
        """Charges ``hit`` or refuses it; never raises. A look beyond its allowance is charged."""
        now = self._monotonic()
        outcome = self._memo.recall(hit, now)
        if outcome is not None:
            return outcome
        outcome = self._exactly(hit, now) or self._locally(hit, now)
        if outcome.is_allowance_used_up:
            return self.hit(replace(hit, is_look=False, allowance=()))
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

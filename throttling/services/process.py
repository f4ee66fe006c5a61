"""Objects that live as long as the process, each created on first use."""

from functools import cache
from typing import Any

from throttling.conf import ThrottlingConf
from throttling.services.api_keys import APIKeys, LastUse
from throttling.services.callers import Quotas, clerk_user, current_plan
from throttling.services.concurrency import ConcurrencyLimiter
from throttling.services.jwks import JWKSClient, StaticKey
from throttling.services.overrides import Overrides
from throttling.services.rate_limiter import RateLimiter
from throttling.services.token_verifier import TokenVerifier
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.jwks_cache import JWKSCache
from throttling.store.stream_leases import StreamLeases
from throttling.store.usage_stats import UsageStats
from throttling.store.window_limiter import WindowLimiter


@cache
def rate_limiter() -> RateLimiter:
    known = ThrottlingConf.load()
    overrides = Overrides(known.rates, known.override_refresh_seconds)
    usage = UsageRecorder(UsageStats.connect(), known.tally_pause_seconds)
    return RateLimiter(known, WindowLimiter.connect(), Quotas(known, overrides), usage)


@cache
def streams() -> ConcurrencyLimiter:
    return ConcurrencyLimiter(StreamLeases.connect())


@cache
def verifier() -> TokenVerifier | None:
    """Returns None when Clerk is not configured."""
    known = ThrottlingConf.load()
    if known.clerk is None:
        return None
    url, key = known.clerk.jwks_url, known.clerk.key
    keys = StaticKey(key) if key else JWKSClient(url, JWKSCache.connect(url))
    return TokenVerifier(known.clerk, keys, lambda identity: clerk_user(identity, known.clerk_plan_tiers, current_plan))


@cache
def api_keys() -> APIKeys:
    known = ThrottlingConf.load()
    return APIKeys(LastUse(known.last_use_pause_seconds), known.api_key_refresh_seconds)


def forget(**kwargs: Any) -> None:
    """Discards all objects after a settings change, so that the next use creates them again."""
    for kept in (rate_limiter, streams, verifier, api_keys):
        kept.cache_clear()

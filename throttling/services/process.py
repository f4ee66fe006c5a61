"""Objects that live as long as the process, each created on first use."""

from functools import cache
from typing import Any

from django.conf import settings

from throttling import conf
from throttling.services.api_keys import PAUSE_SECONDS as LAST_USE_PAUSE_SECONDS
from throttling.services.api_keys import REFRESH_SECONDS as API_KEY_REFRESH_SECONDS
from throttling.services.api_keys import APIKeys, LastUse
from throttling.services.callers import Quotas, clerk_user, current_plan
from throttling.services.concurrency import ConcurrencyLimiter
from throttling.services.jwks import JWKSClient, StaticKey
from throttling.services.overrides import REFRESH_SECONDS, Overrides
from throttling.services.rate_limiter import RateLimiter
from throttling.services.token_verifier import TokenVerifier
from throttling.services.usage_recorder import PAUSE_SECONDS, UsageRecorder
from throttling.store.jwks_cache import JWKSCache
from throttling.store.stream_leases import StreamLeases
from throttling.store.usage_stats import UsageStats
from throttling.store.window_limiter import WindowLimiter


@cache
def rate_limiter() -> RateLimiter:
    known, given = conf.load(), settings.THROTTLING
    overrides = Overrides(known.rates, given.get("OVERRIDE_REFRESH_SECONDS", REFRESH_SECONDS))
    usage = UsageRecorder(UsageStats.connect(), given.get("TALLY_PAUSE_SECONDS", PAUSE_SECONDS))
    return RateLimiter(known, WindowLimiter.connect(), Quotas(known, overrides), usage)


@cache
def streams() -> ConcurrencyLimiter:
    return ConcurrencyLimiter(StreamLeases.connect())


@cache
def verifier() -> TokenVerifier | None:
    """Returns None when Clerk is not configured."""
    known = conf.load()
    if known.clerk is None:
        return None
    url, key = known.clerk.jwks_url, known.clerk.key
    keys = StaticKey(key) if key else JWKSClient(url, JWKSCache.connect(url))
    return TokenVerifier(known.clerk, keys, lambda identity: clerk_user(identity, known.plan_tiers, current_plan))


@cache
def api_keys() -> APIKeys:
    given = settings.THROTTLING
    last_use = LastUse(given.get("LAST_USE_PAUSE_SECONDS", LAST_USE_PAUSE_SECONDS))
    return APIKeys(last_use, given.get("API_KEY_REFRESH_SECONDS", API_KEY_REFRESH_SECONDS))


def forget(**kwargs: Any) -> None:
    """Discards all objects after a settings change, so that the next use creates them again."""
    for kept in (conf.load, rate_limiter, streams, verifier, api_keys):
        kept.cache_clear()

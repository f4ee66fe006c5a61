"""What one process keeps between requests, made when it is first needed."""

from functools import cache
from typing import Any

from django.conf import settings

from throttling import conf
from throttling.roles.api_keys import REFRESH_SECONDS as API_KEY_REFRESH_SECONDS
from throttling.roles.api_keys import APIKeys
from throttling.roles.callers import clerk_user
from throttling.roles.concurrency import ConcurrencyLimiter
from throttling.roles.gate import Gate
from throttling.roles.jwks import KeyStore, OneKey
from throttling.roles.last_use import PAUSE_SECONDS as LAST_USE_PAUSE_SECONDS
from throttling.roles.last_use import LastUse
from throttling.roles.overrides import REFRESH_SECONDS, Overrides
from throttling.roles.plans import current_plan
from throttling.roles.tally_buffer import PAUSE_SECONDS, TallyBuffer
from throttling.roles.token_verifier import TokenVerifier
from throttling.roles.toll import Toll
from throttling.store.key_shelf import KeyShelf
from throttling.store.stream_leases import StreamLeases
from throttling.store.tally import Tally


@cache
def gate() -> Gate:
    return Gate.connect(conf.load())


@cache
def toll() -> Toll:
    known, given = conf.load(), settings.THROTTLING
    overrides = Overrides(known.rates, given.get("OVERRIDE_REFRESH_SECONDS", REFRESH_SECONDS))
    return Toll(known, gate(), overrides, TallyBuffer(Tally.connect(), given.get("TALLY_PAUSE_SECONDS", PAUSE_SECONDS)))


@cache
def streams() -> ConcurrencyLimiter:
    return ConcurrencyLimiter(StreamLeases.connect())


@cache
def verifier() -> TokenVerifier | None:
    """None without Clerk."""
    known = conf.load()
    if known.clerk is None:
        return None
    url, key = known.clerk.jwks_url, known.clerk.key
    keys = OneKey(key) if key else KeyStore(url, KeyShelf.connect(url))
    return TokenVerifier(known.clerk, keys, lambda identity: clerk_user(identity, known.plan_tiers, current_plan))


@cache
def api_keys() -> APIKeys:
    given = settings.THROTTLING
    last_use = LastUse(given.get("LAST_USE_PAUSE_SECONDS", LAST_USE_PAUSE_SECONDS))
    return APIKeys(last_use, given.get("API_KEY_REFRESH_SECONDS", API_KEY_REFRESH_SECONDS))


def forget(**kwargs: Any) -> None:
    """Makes everything anew at its next use: after the settings have changed."""
    for kept in (conf.load, gate, toll, streams, verifier, api_keys):
        kept.cache_clear()

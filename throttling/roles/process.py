"""What one process keeps between requests, made when it is first needed."""

from functools import cache
from typing import Any

from django.conf import settings

from throttling import conf
from throttling.roles.callers import clerk_user
from throttling.roles.gate import Gate
from throttling.roles.jwks import KeyStore, OneKey
from throttling.roles.overrides import REFRESH_SECONDS, Overrides
from throttling.roles.plans import current_plan
from throttling.roles.tally_buffer import PAUSE_SECONDS, TallyBuffer
from throttling.roles.token_verifier import TokenVerifier
from throttling.roles.toll import Toll
from throttling.store.key_shelf import KeyShelf
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
def verifier() -> TokenVerifier | None:
    """None without Clerk."""
    known = conf.load()
    if known.clerk is None:
        return None
    url, key = known.clerk.jwks_url, known.clerk.key
    keys = OneKey(key) if key else KeyStore(url, KeyShelf.connect(url))
    return TokenVerifier(known.clerk, keys, lambda identity: clerk_user(identity, known.plan_tiers, current_plan))


def forget(**kwargs: Any) -> None:
    """Makes everything anew at its next use: after the settings have changed."""
    for kept in (conf.load, gate, toll, verifier):
        kept.cache_clear()

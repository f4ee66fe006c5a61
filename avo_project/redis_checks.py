"""``check --deploy`` for the Redis servers: how they are reached, and what they do when full or restarted."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from redis.exceptions import RedisError

from avo_project.redis_roles import ROLES, RedisRole
from avo_project.redis_servers import ServerFacts, facts_of
from avo_project.redis_urls import RedisTarget, parse_redis_url
from avo_project.transport_checks import is_loopback

_QUEUES = frozenset({"signals", "outreach"})
# What a role survives. A cache may lose anything; the others are told what they would lose.
_BAD_POLICIES = {
    "regime": ("allkeys", "the collection and the ledger of the last cycle"),
    "throttling": ("allkeys", "windows, and a caller whose window went has the whole limit again"),
}


@register(Tags.caches, deploy=True)
def servers_are_reached_safely(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """TLS, or a way that no other host can listen on; and a password."""
    return [message for role in ROLES for message in _reached(role, _target(role))]


@register(Tags.caches, deploy=True)
def servers_keep_what_must_be_kept(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Eviction and persistence, asked of each role's server."""
    return [message for role in ROLES for message in _kept(role)]


def _target(role: RedisRole) -> RedisTarget:
    return parse_redis_url(settings.CACHES[role.alias]["LOCATION"][0])


def _reached(role: RedisRole, target: RedisTarget) -> Iterator[CheckMessage]:
    if all(is_loopback(host) for host, _ in target.hosts):  # a unix socket has no hosts
        return
    if not target.tls:
        hint = f"Write {role.variable} with rediss://, or let nobody else onto the network between them."
        yield Caution(f"The Redis of role {role.alias} is reached without TLS.", hint=hint, id="avo.W008")
    if not target.password:
        hint = f"Give it users (deploy/redis/users.acl) and {role.variable} a name and a password."
        yield Caution(f"The Redis of role {role.alias} asks for no password.", hint=hint, id="avo.W009")


def _kept(role: RedisRole) -> Iterator[CheckMessage]:
    try:
        facts = facts_of(role.alias)
    except RedisError as failure:
        hint = f"See {role.variable}, and run this check where the server can be reached."
        yield Caution(f"The Redis of role {role.alias} cannot be asked: {failure}", hint=hint, id="avo.W007")
        return
    yield from _evicts(role, facts)
    if role.alias in _QUEUES and not facts.appends_everything:
        hint = "Set appendonly yes in its configuration."
        yield Error(f"The Redis of role {role.alias} keeps no append-only file.", hint=hint, id="avo.E006")


def _evicts(role: RedisRole, facts: ServerFacts) -> Iterator[CheckMessage]:
    policies = ", ".join(sorted(facts.policies))
    if role.alias in _QUEUES and facts.policies - {"noeviction"}:
        hint = f"Give {role.variable} a server of its own with maxmemory-policy noeviction."
        yield Error(f"The Redis of role {role.alias} evicts keys ({policies}).", hint=hint, id="avo.E005")
    prefix, loss = _BAD_POLICIES.get(role.alias, ("never", ""))
    if any(policy.startswith(prefix) for policy in facts.policies):
        message = f"The Redis of role {role.alias} ({policies}) may evict {loss}."
        hint = f"Give {role.variable} a server with maxmemory-policy noeviction or volatile-ttl."
        yield Caution(message, hint=hint, id="avo.W006")

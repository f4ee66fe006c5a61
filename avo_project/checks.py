"""System checks of the whole project: settings, transport security, and the Redis server of every role."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from avo_project.environment import is_stored_secret_key
from avo_project.redis_client.roles import ROLES, RedisRole
from avo_project.redis_client.urls import RedisTarget, parse_redis_url

if TYPE_CHECKING:  # every command loads this module, and few run the checks that need redis-py
    from avo_project.redis_client.monitoring import ServerFacts

Apps = Sequence[AppConfig] | None

_ENCRYPTED_MODES = {
    "require",
    "verify-ca",
    "verify-full",
}  # libpq's default "prefer" falls back to plain text


def is_loopback(host: str) -> bool:
    """Whether a host of a URL, with or without brackets, is a loopback address."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@register(Tags.security, deploy=True)
def token_keys_come_by_https(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """CLERK_ISSUER and CLERK_JWKS_URL require https: an attacker who serves the keys can sign in as any user."""
    clerk = settings.THROTTLING
    # A key set may come from a local mirror; an issuer is never local.
    wrong = {
        "CLERK_ISSUER": urlsplit(clerk["CLERK_ISSUER"]).scheme == "http",
        "CLERK_JWKS_URL": _is_readable(clerk["CLERK_JWKS_URL"]),
    }
    hint = "Use the https:// URL shown in Clerk's dashboard."
    return [Error(f"{name} uses http://.", hint=hint, id="avo.E007") for name, is_wrong in wrong.items() if is_wrong]


@register(Tags.security, deploy=True)
def secrets_are_encrypted_on_their_way(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Mail passwords, database connections and unsubscribe links require TLS."""
    return [*_mail(), *_database(), *_links()]


def _mail() -> Iterator[CheckMessage]:
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    is_smtp = settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
    if is_smtp and settings.EMAIL_HOST_PASSWORD and not encrypted and not is_loopback(settings.EMAIL_HOST):
        hint = "Write EMAIL_URL with smtp+tls:// (STARTTLS, port 587) or smtp+ssl:// (port 465)."
        yield Caution("EMAIL_URL sends the password without TLS.", hint=hint, id="avo.W011")


def _database() -> Iterator[CheckMessage]:
    database = settings.DATABASES["default"]
    host = unquote(database.get("HOST") or "/")  # a path is a unix socket
    is_remote = "postgresql" in database["ENGINE"] and not host.startswith("/") and not is_loopback(host)
    if is_remote and database.get("OPTIONS", {}).get("sslmode") not in _ENCRYPTED_MODES:
        hint = "Add ?sslmode=verify-full to DATABASE_URL, or use a private network."
        yield Caution("The connection to the database may be unencrypted.", hint=hint, id="avo.W012")


def _links() -> Iterator[CheckMessage]:
    for name, url in (
        ("PUBLIC_URL", settings.OUTREACH["PUBLIC_URL"]),
        ("SIGNALS_ALERT_URL", settings.SIGNALS["ALERT_URL"]),
    ):
        if _is_readable(url):
            yield Caution(f"{name} uses http://.", hint=f"Use https:// in {name}.", id="avo.W013")


def _is_readable(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


_QUEUES = frozenset({"signals", "outreach"})
# Eviction policies that lose data, and what is lost. The response cache may lose anything.
_BAD_POLICIES = {
    "regime": ("allkeys", "the collection and the dominance log of the last cycle"),
    "throttling": ("allkeys", "windows, which gives their callers the full limit again"),
}


@register(Tags.caches, deploy=True)
def servers_are_reached_safely(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Redis on another host requires TLS and a password."""
    return [message for role in ROLES for message in _reached(role, _target(role))]


@register(Tags.caches, deploy=True)
def servers_keep_what_must_be_kept(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Eviction policy and persistence of each role's server."""
    return [message for role in ROLES for message in _eviction_and_persistence(role)]


def _target(role: RedisRole) -> RedisTarget:
    return parse_redis_url(settings.CACHES[role.alias]["LOCATION"][0])


def _reached(role: RedisRole, target: RedisTarget) -> Iterator[CheckMessage]:
    if all(is_loopback(host) for host, _ in target.hosts):  # a unix socket has no hosts
        return
    if not target.tls:
        hint = f"Use rediss:// in {role.variable}, or use a private network."
        yield Caution(f"The Redis of role {role.alias} is used without TLS.", hint=hint, id="avo.W008")
    if not target.password:
        hint = f"Create Redis users (deploy/redis/users.acl) and add a user name and password to {role.variable}."
        yield Caution(f"The Redis of role {role.alias} requires no password.", hint=hint, id="avo.W009")


def _eviction_and_persistence(role: RedisRole) -> Iterator[CheckMessage]:
    from redis.exceptions import RedisError

    from avo_project.redis_client.monitoring import facts_of

    try:
        facts = facts_of(role.alias)
    except RedisError as failure:
        hint = f"Check {role.variable}, and run this check where the server is reachable."
        yield Caution(f"The Redis of role {role.alias} is unavailable: {failure}", hint=hint, id="avo.W007")
        return
    yield from _evicts(role, facts)
    if role.alias in _QUEUES and not facts.appends_everything:
        hint = "Set 'appendonly yes' in its configuration."
        yield Error(f"The Redis of role {role.alias} has no append-only file.", hint=hint, id="avo.E006")


def _evicts(role: RedisRole, facts: "ServerFacts") -> Iterator[CheckMessage]:
    policies = ", ".join(sorted(facts.policies))
    if role.alias in _QUEUES and facts.policies - {"noeviction"}:
        hint = f"Use a separate server with maxmemory-policy noeviction for {role.variable}."
        yield Error(f"The Redis of role {role.alias} evicts keys ({policies}).", hint=hint, id="avo.E005")
    prefix, loss = _BAD_POLICIES.get(role.alias, ("never", ""))
    if any(policy.startswith(prefix) for policy in facts.policies):
        message = f"The Redis of role {role.alias} ({policies}) may evict {loss}."
        hint = f"Use a server with maxmemory-policy noeviction or volatile-ttl for {role.variable}."
        yield Caution(message, hint=hint, id="avo.W006")


_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1"}
_SHORTEST_TOKEN = 16


@register(Tags.caches)
def no_alias_unpickles(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """No alias may unpickle: anyone who can write to Redis could run code in this process."""
    return [
        Error(
            f"The cache alias {alias!r} unpickles values.",
            hint="Set SERIALIZER in its OPTIONS, for example django_redis.serializers.json.JSONSerializer.",
            id="avo.E001",
        )
        for alias, cache in settings.CACHES.items()
        if "Pickle" in cache.get("OPTIONS", {}).get("SERIALIZER", "PickleSerializer")
    ]


@register(Tags.security, deploy=True)
def debug_is_off(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """DEBUG pages show settings and local variables to every client."""
    return [Error("DEBUG is on.", hint="Unset DJANGO_DEBUG.", id="avo.E002")] if settings.DEBUG else []


@register(Tags.security, deploy=True)
def secret_key_is_given(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Hosts with different secret keys reject each other's sessions and unsubscribe links."""
    if not is_stored_secret_key(settings.SECRET_KEY, settings.DATA_DIR):
        return []
    hint = "Set DJANGO_SECRET_KEY to the same 50 random characters on every host."
    return [Caution("The secret key is the generated one in the data folder.", hint=hint, id="avo.W002")]


@register(Tags.security, deploy=True)
def hosts_are_named(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """With ``*`` a client chooses the host of generated links; with local names only, other clients are rejected."""
    hint = "Set DJANGO_ALLOWED_HOSTS to the public host names."
    if "*" in settings.ALLOWED_HOSTS:
        return [Error("DJANGO_ALLOWED_HOSTS allows every host name.", hint=hint, id="avo.E003")]
    if set(settings.ALLOWED_HOSTS) <= _LOCAL_NAMES:
        return [Caution("DJANGO_ALLOWED_HOSTS allows local names only.", hint=hint, id="avo.W003")]
    return []


@register(Tags.security, deploy=True)
def metrics_have_a_token(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Without a token only this host can read /metrics; a short token can be guessed."""
    if len(settings.METRICS_TOKEN) >= _SHORTEST_TOKEN:
        return []
    problem = "METRICS_TOKEN is too short." if settings.METRICS_TOKEN else "METRICS_TOKEN is not set."
    hint = f"Set it to at least {_SHORTEST_TOKEN} random characters, unless Prometheus runs on this host."
    return [Caution(problem, hint=hint, id="avo.W004")]


@register(Tags.security, deploy=True)
def proxies_are_counted(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Proxy headers and THROTTLE_NUM_PROXIES must agree."""
    trusts = settings.SECURE_PROXY_SSL_HEADER is not None or settings.USE_X_FORWARDED_HOST
    proxies = settings.THROTTLING["NUM_PROXIES"]
    if trusts and not proxies:
        return [
            Error(
                "Proxy headers are trusted, but THROTTLE_NUM_PROXIES is 0: any client can send them.",
                hint="Set THROTTLE_NUM_PROXIES to the number of proxies in front, or unset SECURE_PROXY_SSL_HEADER.",
                id="avo.E004",
            )
        ]
    if proxies and settings.SECURE_PROXY_SSL_HEADER is None:
        return [
            Caution(
                "THROTTLE_NUM_PROXIES counts a proxy, but X-Forwarded-Proto is not read.",
                hint="Set DJANGO_HTTPS=on and make the proxy set X-Forwarded-Proto.",
                id="avo.W005",
            )
        ]
    return []

"""System checks of the settings: what must hold always, and with ``check --deploy`` what must hold in production."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from avo_project.environment import is_kept_secret_key

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1"}
_SHORTEST_TOKEN = 16

Apps = Sequence[AppConfig] | None


@register(Tags.caches)
def no_alias_unpickles(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Whoever can write to Redis could run code in every process that unpickles from it."""
    return [
        Error(
            f"The cache alias {alias!r} reads pickles.",
            hint="Name a SERIALIZER in its OPTIONS, such as django_redis.serializers.json.JSONSerializer.",
            id="avo.E001",
        )
        for alias, cache in settings.CACHES.items()
        if "Pickle" in cache.get("OPTIONS", {}).get("SERIALIZER", "PickleSerializer")
    ]


@register(Tags.security, deploy=True)
def debug_is_off(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The pages of DEBUG show settings and local variables to everybody."""
    return [Error("DEBUG is on.", hint="Unset DJANGO_DEBUG.", id="avo.E002")] if settings.DEBUG else []


@register(Tags.security, deploy=True)
def secret_key_is_given(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Two hosts with keys of their own do not take each other's sessions and unsubscribe links."""
    if not is_kept_secret_key(settings.SECRET_KEY, settings.DATA_DIR):
        return []
    hint = "Set DJANGO_SECRET_KEY to the same 50 random characters on every host."
    return [Caution("The secret key is the one kept in the data folder.", hint=hint, id="avo.W002")]


@register(Tags.security, deploy=True)
def hosts_are_named(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """With ``*`` a caller chooses the host that links are made with; with local names nobody else is answered."""
    hint = "Set DJANGO_ALLOWED_HOSTS to the names that callers use."
    if "*" in settings.ALLOWED_HOSTS:
        return [Error("DJANGO_ALLOWED_HOSTS allows every name.", hint=hint, id="avo.E003")]
    if set(settings.ALLOWED_HOSTS) <= _LOCAL_NAMES:
        return [Caution("Only local names are allowed as the host.", hint=hint, id="avo.W003")]
    return []


@register(Tags.security, deploy=True)
def metrics_have_a_token(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Without one nobody but this host reads them; a short one can be guessed."""
    if len(settings.METRICS_TOKEN) >= _SHORTEST_TOKEN:
        return []
    problem = "METRICS_TOKEN is too short." if settings.METRICS_TOKEN else "METRICS_TOKEN is not set."
    hint = f"Set it to {_SHORTEST_TOKEN} random characters or more, unless Prometheus runs on this host."
    return [Caution(problem, hint=hint, id="avo.W004")]


@register(Tags.security, deploy=True)
def proxies_are_counted(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What a proxy says may be believed only if there is one, and must be if there is one."""
    trusts = settings.SECURE_PROXY_SSL_HEADER is not None or settings.USE_X_FORWARDED_HOST
    proxies = settings.THROTTLING["NUM_PROXIES"]
    if trusts and not proxies:
        return [
            Error(
                "Headers of a proxy are trusted, but THROTTLE_NUM_PROXIES is 0: any caller may send them.",
                hint="Set THROTTLE_NUM_PROXIES to the number of proxies in front, or unset SECURE_PROXY_SSL_HEADER.",
                id="avo.E004",
            )
        ]
    if proxies and settings.SECURE_PROXY_SSL_HEADER is None:
        return [
            Caution(
                "THROTTLE_NUM_PROXIES counts a proxy, but whether the caller came by HTTPS is not read from it.",
                hint="Set DJANGO_HTTPS=on and let the proxy set X-Forwarded-Proto.",
                id="avo.W005",
            )
        ]
    return []

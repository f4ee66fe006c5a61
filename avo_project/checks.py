"""System checks that hold for the whole project."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.caches)
def no_alias_unpickles(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
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

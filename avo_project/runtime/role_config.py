"""What each app declares about its role: the console, the samples of its charts and its live metrics."""

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.utils.module_loading import import_string


class RoleConfig(AppConfig):
    """The attributes are dotted paths, imported on first use, so that commands for cron start fast. An empty one means
    that the role has none.

    ``console`` names a RoleConsole, ``samples`` a SampleSource, ``live_metrics`` a function that yields the role's
    gauges at each scrape.
    """

    role = ""
    console = ""
    samples = ""
    live_metrics = ""


def declared(attribute: str, roles: Iterable[str] = ()) -> dict[str, Any]:
    """What ``roles`` declare in ``attribute``, of all roles when none is named, in the order of INSTALLED_APPS.

    Raises KeyError for a role that declares none, and ImportError for an unknown path.
    """
    configs = [config for config in apps.get_app_configs() if isinstance(config, RoleConfig)]
    paths = {config.role: path for config in configs if (path := getattr(config, attribute))}
    return {role: import_string(paths[role]) for role in roles or paths}

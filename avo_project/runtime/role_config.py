"""What each app declares about its role: its settings, console, samples and live metrics."""

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.utils.module_loading import import_string

from avo_project.runtime.conf import ConfError


class RoleConfig(AppConfig):
    """The attributes are dotted paths, imported on first use, so that commands for cron start fast. An empty one means
    that the role has none.

    ``conf`` names the app's Conf, which is loaded at the start: unusable settings end the process, with a line for
    each. ``console`` names a RoleConsole, ``samples`` a SampleSource, ``live_metrics`` a function that yields the
    gauges of the role at each scrape.
    """

    role = ""
    conf = ""
    console = ""
    samples = ""
    live_metrics = ""

    def ready(self) -> None:
        if self.conf:
            try:
                import_string(self.conf).load()
            except ConfError as error:
                raise SystemExit(str(error)) from None


def declared(attribute: str, roles: Iterable[str] = ()) -> dict[str, Any]:
    """What ``roles`` declare in ``attribute``, of all roles when none is named, in the order of INSTALLED_APPS.

    Raises KeyError for a role that declares none, and ImportError for an unknown path.
    """
    configs = [config for config in apps.get_app_configs() if isinstance(config, RoleConfig)]
    paths = {config.role: path for config in configs if (path := getattr(config, attribute))}
    return {role: import_string(paths[role]) for role in roles or paths}

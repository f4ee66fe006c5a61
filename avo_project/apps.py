import os
import sys
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import SimpleAdminConfig
from django.core import checks as system_checks


class ConsoleAdminConfig(SimpleAdminConfig):
    """Loads the admin modules of the apps only in processes that serve or check the admin. Django's own config imports
    them at every start, which would slow down commands for cron.
    """

    default_site = "avo_project.console.site.ConsoleSite"

    def ready(self) -> None:
        from django.contrib.admin.checks import check_dependencies

        system_checks.register(check_dependencies, system_checks.Tags.admin)
        system_checks.register(check_admin_of_every_app, system_checks.Tags.admin)


def check_admin_of_every_app(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> Sequence[system_checks.CheckMessage]:
    from django.contrib.admin import autodiscover
    from django.contrib.admin.checks import check_admin_app

    autodiscover()
    return check_admin_app(app_configs, **kwargs)


class AvoProjectConfig(AppConfig):
    name = "avo_project"
    verbose_name = "Avo"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from avo_project import checks  # noqa: F401 - registers the system checks
        from avo_project.embedded_database import limit_lock_waits, migrate_on_first_connection
        from avo_project.environment import command_name
        from avo_project.observability.sources import register_live_source
        from avo_project.observability.tracing import start_tracing
        from avo_project.redis_client.circuit import count_from_zero
        from avo_project.redis_client.clients import ROLES

        start_tracing(os.environ, command_name(sys.argv))
        connection_created.connect(migrate_on_first_connection)
        if settings.SERVES_REQUESTS:
            connection_created.connect(limit_lock_waits)
        register_live_source("redis", "avo_project.redis_client.monitoring.live_metrics")
        for role in ROLES:
            count_from_zero(role.alias)
        if settings.METRICS_LISTEN and command_name(sys.argv) != "web_server":
            from avo_project.observability.metrics import serve_process_counters

            serve_process_counters(*settings.METRICS_LISTEN)

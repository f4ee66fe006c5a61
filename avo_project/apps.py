import os
import sys

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig


class ConsoleAdminConfig(AdminConfig):
    default_site = "avo_project.console.console_site.ConsoleSite"


class AvoProjectConfig(AppConfig):
    name = "avo_project"
    verbose_name = "Avo"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from avo_project import (  # noqa: F401 - registers the system checks
            checks,
            redis_checks,
            redis_servers,
            transport_checks,
        )
        from avo_project.embedded_database import limit_lock_waits, migrate_on_first_connection
        from avo_project.environment import command_name
        from avo_project.metrics import register_live_source, serve_process_counters
        from avo_project.redis_client.circuit import count_from_zero
        from avo_project.redis_roles import ROLES
        from avo_project.tracing import start_tracing

        start_tracing(os.environ, command_name(sys.argv))
        connection_created.connect(migrate_on_first_connection)
        if settings.SERVES_REQUESTS:
            connection_created.connect(limit_lock_waits)
        register_live_source("redis", redis_servers.live_metrics)
        for role in ROLES:
            count_from_zero(role.alias)
        if settings.METRICS_LISTEN and command_name(sys.argv) != "web_server":
            serve_process_counters(*settings.METRICS_LISTEN)

import os
import sys

from django.conf import settings

from avo_project.runtime.role_config import RoleConfig


class AvoProjectConfig(RoleConfig):
    name = "avo_project"
    verbose_name = "Avo"
    role = "redis"
    live_metrics = "avo_project.redis_client.metrics.live_metrics"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from avo_project import checks  # noqa: F401 - registers the system checks
        from avo_project.embedded_database import limit_lock_waits, migrate_on_first_connection
        from avo_project.environment import command_name
        from avo_project.observability.tracing import start_tracing

        start_tracing(os.environ, command_name(sys.argv))
        connection_created.connect(migrate_on_first_connection)
        if settings.SERVES_REQUESTS:
            connection_created.connect(limit_lock_waits)
        if settings.METRICS_LISTEN and command_name(sys.argv) != "web_server":
            from avo_project.observability.metrics import serve_process_counters

            serve_process_counters(*settings.METRICS_LISTEN)

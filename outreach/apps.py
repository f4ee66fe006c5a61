from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "outreach"
    verbose_name = "Outreach"

    def ready(self) -> None:
        from avo_project.console.registry import register_console
        from avo_project.observability.live_sources import register_live_source

        register_console("outreach", "outreach.admin.console.CONSOLE")
        register_live_source("outreach", "outreach.metrics.live_gauges")

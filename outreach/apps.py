from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "outreach"
    verbose_name = "Outreach"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.live_sources import register_live_source

        register_console("outreach", "outreach.console.CONSOLE")
        register_live_source("outreach", "outreach.gauges.live_gauges")

from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "outreach"
    verbose_name = "Outreach"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.metrics import register_live_source
        from outreach.console import CONSOLE
        from outreach.gauges import live_gauges

        register_console(CONSOLE)
        register_live_source("outreach", live_gauges)

from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "outreach"
    verbose_name = "Outreach"

    def ready(self) -> None:
        from avo_project.metrics import register_live_source
        from outreach.gauges import live_gauges

        register_live_source("outreach", live_gauges)

from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "outreach"
    verbose_name = "Outreach"

    def ready(self) -> None:
        from avo_project.console.registry import register_console
        from avo_project.observability.sources import register_live_source, register_samples

        register_console("outreach", "outreach.admin.console.CONSOLE")
        register_samples("outreach", "outreach.services.samples.SAMPLES")
        register_live_source("outreach", "outreach.metrics.live_gauges")

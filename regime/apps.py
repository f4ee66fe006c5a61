from django.apps import AppConfig


class RegimeConfig(AppConfig):
    name = "regime"
    verbose_name = "Regime cache"

    def ready(self) -> None:
        from avo_project.console.registry import register_console
        from avo_project.observability.sources import register_live_source, register_samples

        register_console("regime", "regime.admin.console.CONSOLE")
        register_samples("regime", "regime.services.samples.SAMPLES")
        register_live_source("regime", "regime.metrics.live_metrics")

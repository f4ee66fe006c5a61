from django.apps import AppConfig


class RegimeConfig(AppConfig):
    name = "regime"
    verbose_name = "Regime cache"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.live_sources import register_live_source

        register_console("regime", "regime.console.CONSOLE")
        register_live_source("regime", "regime.metrics.live_metrics")

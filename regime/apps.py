from django.apps import AppConfig


class RegimeConfig(AppConfig):
    name = "regime"
    verbose_name = "Regime cache"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.metrics import register_live_source
        from regime.console import CONSOLE
        from regime.metrics import live_metrics

        register_console(CONSOLE)
        register_live_source("regime", live_metrics)

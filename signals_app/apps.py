from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "signals_app"
    verbose_name = "Trading signals"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.live_sources import register_live_source

        register_console("signals", "signals_app.console.CONSOLE")
        register_live_source("signals", "signals_app.metrics.live_metrics")

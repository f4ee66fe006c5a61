from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "signals_app"
    verbose_name = "Trading signals"

    def ready(self) -> None:
        from avo_project.console.role_console import register_console
        from avo_project.metrics import register_live_source
        from signals_app.console import CONSOLE
        from signals_app.metrics import live_metrics

        register_console(CONSOLE)
        register_live_source("signals", live_metrics)

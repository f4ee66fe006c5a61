from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "signals_app"
    verbose_name = "Trading signals"

    def ready(self) -> None:
        from avo_project.metrics import register_live_source
        from signals_app.metrics import live_metrics

        register_live_source("signals", live_metrics)

from django.apps import AppConfig


class RegimeConfig(AppConfig):
    name = "regime"
    verbose_name = "Regime cache"

    def ready(self) -> None:
        from avo_project.metrics import register_live_source
        from regime.metrics import live_metrics

        register_live_source("regime", live_metrics)

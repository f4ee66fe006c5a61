from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "signals_app"
    verbose_name = "Trading signals"

    def ready(self) -> None:
        from avo_project.console.registry import register_console
        from avo_project.observability.sources import register_live_source, register_samples
        from signals_app.conf import SignalsConf

        SignalsConf.load()  # an unusable setting stops the start
        register_console("signals", "signals_app.admin.console.CONSOLE")
        register_samples("signals", "signals_app.services.samples.SAMPLES")
        register_live_source("signals", "signals_app.metrics.live_metrics")

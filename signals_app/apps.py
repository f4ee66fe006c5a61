from avo_project.runtime.role_config import RoleConfig


class SignalsConfig(RoleConfig):
    name = "signals_app"
    verbose_name = "Trading signals"
    role = "signals"
    console = "signals_app.admin.console.CONSOLE"
    samples = "signals_app.services.samples.SAMPLES"
    live_metrics = "signals_app.metrics.live_metrics"

    def ready(self) -> None:
        from signals_app.conf import SignalsConf

        SignalsConf.load()  # an unusable setting stops the start

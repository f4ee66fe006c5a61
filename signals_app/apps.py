from avo_project.runtime.role_config import RoleConfig


class SignalsConfig(RoleConfig):
    name = "signals_app"
    verbose_name = "Trading signals"
    role = "signals"
    conf = "signals_app.conf.SignalsConf"
    console = "signals_app.admin.console.CONSOLE"
    samples = "signals_app.services.samples.SAMPLES"
    live_metrics = "signals_app.metrics.live_metrics"

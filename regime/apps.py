from avo_project.runtime.role_config import RoleConfig


class RegimeConfig(RoleConfig):
    name = "regime"
    verbose_name = "Regime cache"
    role = "regime"
    conf = "regime.conf.RegimeConf"
    console = "regime.admin.console.CONSOLE"
    samples = "regime.services.samples.SAMPLES"
    live_metrics = "regime.metrics.live_metrics"

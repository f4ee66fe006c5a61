from avo_project.runtime.role_config import RoleConfig


class OutreachConfig(RoleConfig):
    name = "outreach"
    verbose_name = "Outreach"
    role = "outreach"
    conf = "outreach.conf.OutreachConf"
    console = "outreach.admin.console.CONSOLE"
    samples = "outreach.services.samples.SAMPLES"
    live_metrics = "outreach.metrics.live_metrics"

from typing import Any

from avo_project.runtime.role_config import RoleConfig


class ThrottlingConfig(RoleConfig):
    name = "throttling"
    verbose_name = "Rate limits"
    role = "throttling"
    conf = "throttling.conf.ThrottlingConf"
    console = "throttling.admin.console.CONSOLE"
    samples = "throttling.services.samples.SAMPLES"
    live_metrics = "throttling.metrics.live_metrics"

    def ready(self) -> None:
        from django.core.signals import setting_changed
        from django.db.models.signals import post_save
        from rest_framework.authtoken.models import Token, TokenProxy

        from throttling import checks  # noqa: F401 - registers itself

        super().ready()
        setting_changed.connect(forget_process, dispatch_uid="throttling")
        for model in (Token, TokenProxy):
            post_save.connect(adopt_token, sender=model, dispatch_uid=f"throttling.{model.__name__}")


def forget_process(**signal: Any) -> None:
    """Receiver of ``setting_changed``. Imported late: only processes that verify tokens load these modules."""
    from throttling.services import process

    process.forget(**signal)


def adopt_token(**signal: Any) -> None:
    """Receiver of ``post_save`` for DRF tokens."""
    from throttling.services import api_keys

    api_keys.adopt(**signal)

from django.apps import AppConfig


class ThrottlingConfig(AppConfig):
    name = "throttling"
    verbose_name = "Rate limits"

    def ready(self) -> None:
        from django.core.signals import setting_changed
        from django.db.models.signals import post_save
        from rest_framework.authtoken.models import Token, TokenProxy

        from avo_project.console.role_console import register_console
        from avo_project.metrics import register_live_source
        from throttling import checks, conf, console, openapi  # noqa: F401 - checks and openapi register themselves
        from throttling.roles import api_keys, inspection, process, toll

        try:
            toll.count_from_zero(conf.load().rates)
        except conf.ConfError as error:
            raise SystemExit(str(error)) from None
        setting_changed.connect(process.forget, dispatch_uid="throttling")
        for model in (Token, TokenProxy):
            post_save.connect(api_keys.adopt, sender=model, dispatch_uid=f"throttling.{model.__name__}")
        register_live_source("throttling", inspection.metrics)
        register_console(console.CONSOLE)

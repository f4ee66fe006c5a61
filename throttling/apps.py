from django.apps import AppConfig


class ThrottlingConfig(AppConfig):
    name = "throttling"
    verbose_name = "Rate limits"

    def ready(self) -> None:
        from django.core.signals import setting_changed

        from avo_project.console.role_console import register_console
        from avo_project.metrics import register_live_source
        from throttling import conf, console, openapi  # noqa: F401 - openapi registers itself
        from throttling.roles import inspection, process

        try:
            conf.load()
        except conf.ConfError as error:
            raise SystemExit(str(error)) from None
        setting_changed.connect(process.forget, dispatch_uid="throttling")
        register_live_source("throttling", inspection.metrics)
        register_console(console.CONSOLE)

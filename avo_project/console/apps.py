from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.core import checks


class ConsoleAdminConfig(SimpleAdminConfig):
    """Loads the admin modules of the apps only in processes that serve or check the admin. Django's own config imports
    them at every start, which would slow down commands for cron.
    """

    default_site = "avo_project.console.site.ConsoleSite"

    def ready(self) -> None:
        from django.contrib.admin.checks import check_dependencies

        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_admin_of_every_app, checks.Tags.admin)


def check_admin_of_every_app(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Sequence[checks.CheckMessage]:
    from django.contrib.admin import autodiscover
    from django.contrib.admin.checks import check_admin_app

    autodiscover()
    return check_admin_app(app_configs, **kwargs)

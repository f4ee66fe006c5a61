"""The base of commands that cron, probes and people start often."""

from django.core.checks import Tags
from django.core.management.base import BaseCommand


class LightCommand(BaseCommand):
    """Loads what its own work needs. Django's command runs every system check first, which loads every route, page and
    client of other servers; ``check`` and the web server do that.
    """

    requires_system_checks = (Tags.caches,)

"""Base class of commands that cron and probes start often."""

from django.core.checks import Tags
from django.core.management.base import BaseCommand


class LightCommand(BaseCommand):
    """A command that starts fast: it runs the cache checks only. Django runs every system check first, which loads all
    routes, admin pages and HTTP clients; ``check`` and the web server do that.
    """

    requires_system_checks = (Tags.caches,)

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from avo_project.redis_client.acl import acl_file
from avo_project.redis_client.roles import ROLES
from avo_project.redis_client.urls import RedisTarget, parse_redis_url


class Command(BaseCommand):
    help = (
        "Print an ACL file for the Redis servers: a user per role with the commands and keys of its table in keys.py. "
        "Names and passwords (as digests) are taken from the *_REDIS_URL variables. Without a password nobody can "
        "log in until ACL SETUSER sets one."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sample", action="store_true", help="Ignore the URLs and print users without passwords.")

    def handle(self, *args: Any, sample: bool, **options: Any) -> None:
        nowhere = RedisTarget("unix")
        urls = {role.alias: settings.CACHES[role.alias]["LOCATION"][0] for role in ROLES}
        targets = {alias: nowhere if sample else parse_redis_url(url) for alias, url in urls.items()}
        self.stdout.write(acl_file(targets), ending="")

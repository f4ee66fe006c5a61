"""Makes an API key."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.options import moment, name_of_at_most
from throttling import conf, keys
from throttling.services import api_keys


class Command(BaseCommand):
    help = "Makes an API key for an account and prints it: once, since only a digest of it is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="the account that the key acts for")
        parser.add_argument("--name", type=name_of_at_most(100), required=True, help="what uses the key")
        parser.add_argument("--expires", type=moment, metavar="ISO", help="when the key ends; default: never")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            choices=conf.load().named_scopes,
            help="what the key opens, may be given several times; default: whatever its account may do",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["expires"] and options["expires"] <= timezone.now():
            raise CommandError("--expires: this moment is past. Give one that is still to come.")
        with store_errors_as_command_error(keys.REDIS_ALIAS, "Nothing was made; run it again."):
            user = get_user_model().objects.filter(username=options["username"]).first()
            if user is None:
                raise CommandError(f"there is no account {options['username']!r}. Make it in the admin, under Users.")
            key = api_keys.issue(user, options["name"], options["expires"], options["scope"])
        self.stdout.write(key)

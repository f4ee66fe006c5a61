"""Creates an API key."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.options import moment, name_of_at_most
from throttling import keys
from throttling.conf import ThrottlingConf
from throttling.services import api_keys


class Command(BaseCommand):
    help = "Create an API key for an account and print it. The key is shown once; only its digest is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="Account whose permissions the key has.")
        parser.add_argument(
            "--name", type=name_of_at_most(100), required=True, help="Name of the program that uses the key."
        )
        parser.add_argument("--expires", type=moment, metavar="ISO", help="Expiry of the key (default: none).")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            choices=ThrottlingConf.load().named_scopes,
            help="Scope of the key; repeat for more than one (default: everything that the account may do).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["expires"] and options["expires"] <= timezone.now():
            raise CommandError("--expires: must be in the future.")
        with store_errors_as_command_error(keys.REDIS_ALIAS, "No key was created. Run the command again."):
            user = get_user_model().objects.filter(username=options["username"]).first()
            if user is None:
                raise CommandError(f"no account {options['username']!r}. Create it in the admin, under Users.")
            key = api_keys.issue(user, options["name"], options["expires"], options["scope"])
        self.stdout.write(key)

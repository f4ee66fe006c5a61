"""Revokes API keys."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from avo_project.redis_client.errors import store_errors_as_command_error
from throttling import keys
from throttling.models import APIKey
from throttling.services import api_keys
from throttling.services.api_keys import SHOWN_CHARACTERS, digest


class Command(BaseCommand):
    help = "Revoke an API key within 2 seconds. This cannot be undone. Without a key, list the active keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", nargs="?", help=f"The key, or its first {SHOWN_CHARACTERS} characters as listed.")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(keys.REDIS_ALIAS, "Run the command again."):
            good = APIKey.objects.filter(revoked_at=None).select_related("user")
            if options["key"] is None:
                for key in good:
                    self.stdout.write(f"{key.shown:{SHOWN_CHARACTERS}} {key.user} {key.name}")
                return
            meant = good.filter(Q(digest=digest(options["key"])) | (Q(shown=options["key"]) & ~Q(shown="")))
            if meant.count() != 1:
                raise CommandError(f"{meant.count()} active keys match. Give the whole key.")
            api_keys.revoke(meant)
        self.stdout.write("revoked=1")

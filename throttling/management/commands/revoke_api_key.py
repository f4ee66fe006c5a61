"""Revokes API keys."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from avo_project.redis_client.errors import store_errors_as_command_error
from throttling import keys
from throttling.domain.api_keys import SHOWN_CHARACTERS, digest
from throttling.models import APIKey
from throttling.services import api_keys


class Command(BaseCommand):
    help = "Revokes an API key for good, everywhere within 2 seconds. Without a key it lists the keys that are good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", nargs="?", help=f"the key, or its first {SHOWN_CHARACTERS} characters as listed")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(keys.REDIS_ALIAS, "Run it again."):
            good = APIKey.objects.filter(revoked_at=None).select_related("user")
            if options["key"] is None:
                for key in good:
                    self.stdout.write(f"{key.shown:{SHOWN_CHARACTERS}} {key.user} {key.name}")
                return
            meant = good.filter(Q(digest=digest(options["key"])) | (Q(shown=options["key"]) & ~Q(shown="")))
            if meant.count() != 1:
                raise CommandError(f"{meant.count()} keys that are good begin so. Give the whole key.")
            api_keys.revoke(meant)
        self.stdout.write("revoked=1")

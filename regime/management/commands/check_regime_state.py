import os
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.redis_client.errors import store_errors_as_command_error
from regime.domain.state_check import findings
from regime.keys import REDIS_ALIAS, STATE_PATTERN
from regime.store.keyspace import KeyReader


class Command(BaseCommand):
    help = "Check one regime state key and list what its writer does wrong. Exits with status 1 on any error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "key", metavar="KEY", help="Key such as argus:regime:AAPL, or its part after argus:regime:."
        )

    def handle(self, *args: Any, key: str, **options: Any) -> None:
        prefix = STATE_PATTERN[:-1]
        with store_errors_as_command_error(REDIS_ALIAS, "Run the command again when Redis is available."):
            held = KeyReader.connect().read(os.fsencode(key.removeprefix(prefix)))
        found = findings(held, time.time())
        for one in found:
            self.stdout.write(f"{'error' if one.is_error else 'note'}: {one.text}")
        errors = sum(one.is_error for one in found)
        self.stdout.write(f"{prefix}{key.removeprefix(prefix)}: {errors} errors, {len(found) - errors} notes")
        if errors:
            raise SystemExit(1)

"""Erase a recipient from the ledger."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.redis_client.errors import store_errors_as_command_error
from outreach.keys import REDIS_ALIAS
from outreach.services.touch_operations import TouchOperations


class Command(BaseCommand):
    help = (
        "Erase a recipient's address and all contents sent to it, and suppress the recipient. Only a digest is kept. "
        "A touch in flight is not erased; run the command again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("recipient", help="address or handle of the recipient")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "Run it again once it answers, until it prints how many touches it erased."
        ):
            erased = TouchOperations.connect(time.time).forget(options["recipient"])
        self.stdout.write(f"erased={erased}")

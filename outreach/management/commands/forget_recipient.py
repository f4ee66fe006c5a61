"""Erases a person from the ledger."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.redis_client.errors import store_errors_as_command_error
from outreach.keys import REDIS_ALIAS
from outreach.services.touch_operations import TouchOperations


class Command(BaseCommand):
    help = (
        "Erases a recipient's address and everything written to it, and suppresses it for good. Only a digest stays. "
        "A touch that is being sent at this moment is left; run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("recipient", help="the address or handle")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "Run it again once it answers, until it says how many it erased."
        ):
            erased = TouchOperations.connect(time.time).forget(options["recipient"])
        self.stdout.write(f"erased={erased}")

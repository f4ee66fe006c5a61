"""Requeue dead touches."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.options import at_least, moment
from outreach.domain.inbox_rules import MOST_SENDS
from outreach.keys import REDIS_ALIAS
from outreach.services.touch_operations import TouchOperations, dead_touches


class Command(BaseCommand):
    help = "Requeue dead touches with all their attempts. Suppressed recipients are skipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--inbox", help="only touches of this inbox")
        parser.add_argument("--reason", help="only touches whose reason contains this text")
        parser.add_argument("--since", type=moment, help="only touches that died at or after this ISO time")
        parser.add_argument(
            "--per-minute",
            type=at_least(1, MOST_SENDS),
            help="maximum number of touches per minute (default: all at once)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print the number of dead touches without changing them"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS,
            "Run reconcile_outreach once it answers, because redriven touches are in the ledger; then run it again.",
        ):
            try:
                dead = dead_touches(options["inbox"], options["reason"], options["since"])
            except LookupError as error:
                raise CommandError(str(error)) from None
            redriven = (
                0 if options["dry_run"] else TouchOperations.connect(time.time).redrive(dead, options["per_minute"])
            )
            left = dead.count()
        self.stdout.write(f"dead={left} redriven={redriven}")

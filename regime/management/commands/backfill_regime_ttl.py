import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from avo_project.runtime.stop_flag import StopFlag
from regime.conf import RegimeConf
from regime.keys import REDIS_ALIAS
from regime.services.progress import Progress
from regime.services.ttl_backfill import Pace, TtlBackfill


class Command(LightCommand):
    help = (
        "Set the remaining TTL on every state key without one, in a single SCAN pass. "
        "Throttled unless --batch is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count the states without a TTL and change nothing.")
        parser.add_argument(
            "--batch",
            type=int,
            metavar="N",
            help="Keys per step, 1 to 10000, without pauses. Faster, but slows readers down.",
        )
        parser.add_argument(
            "--max-per-second", type=int, metavar="N", help="Maximum number of keys per second (default: no limit)."
        )
        parser.add_argument(
            "--assume-age",
            type=float,
            metavar="SECONDS",
            help="Age of states without computed_at or a usable expiry (default: none, they get a full TTL).",
        )
        parser.add_argument("--json", action="store_true", help="Print the report as one line of JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "Completed work is kept. Run the command again when Redis is available."
        ):
            self._backfill(**options)

    def _backfill(self, dry_run: bool, assume_age: float | None, **options: Any) -> None:
        try:
            pace = Pace.of(options["batch"], options["max_per_second"], RegimeConf.load())
            backfill = TtlBackfill.connect(pace, dry_run, assume_age)
        except ValueError as error:
            raise CommandError(str(error)) from error
        with StopFlag() as stop, Progress("keys", sys.stderr, backfill.keys_at_most()) as progress:
            report = backfill.run(stop, progress.advance)
        if stop:
            self.stderr.write("Stopped early. Run the command again for the remaining keys.")
        self.stdout.write(json.dumps(report.fields()) if options["json"] else report.summary())

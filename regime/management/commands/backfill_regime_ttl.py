import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from avo_project.runtime.stop_flag import StopFlag
from regime.conf import regime_conf
from regime.keys import REDIS_ALIAS
from regime.services.progress import Progress
from regime.services.ttl_backfill import Pace, TtlBackfill


class Command(LightCommand):
    help = (
        "Gives every state without expiry its remaining life, in one SCAN pass. Without --batch readers hardly notice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
        parser.add_argument(
            "--batch", type=int, metavar="N", help="keys a step without pauses: faster, felt by readers"
        )
        parser.add_argument("--max-per-second", type=int, metavar="N", help="keys a second at most")
        parser.add_argument(
            "--assume-age",
            type=float,
            metavar="SECONDS",
            help="the age of states without computed_at that do not tell theirs; one that cannot be read stays unknown",
        )
        parser.add_argument("--json", action="store_true", help="end with the report as one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "What is mended stays; run it again for the rest once Redis answers."
        ):
            self._backfill(**options)

    def _backfill(self, dry_run: bool, assume_age: float | None, **options: Any) -> None:
        try:
            pace = Pace.of(options["batch"], options["max_per_second"], regime_conf())
            backfill = TtlBackfill.connect(pace, dry_run, assume_age)
        except ValueError as error:
            raise CommandError(str(error)) from error
        with StopFlag() as stop, Progress("keys", sys.stderr, backfill.keys_at_most()) as progress:
            report = backfill.run(stop, progress.advance)
        if stop:
            self.stderr.write("Stopped before the end. Run it again for the rest.")
        self.stdout.write(json.dumps(report.fields()) if options["json"] else report.summary())

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.lib.ndjson import UnreadableError, open_source
from avo_project.redis_client.errors import store_errors_as_command_error
from regime.domain.state import StateLines
from regime.keys import REDIS_ALIAS
from regime.services.cycle import Cycle
from regime.services.progress import Progress

_ADVICE = "Written states are kept. Run the command again with all states when Redis is available."


class Command(BaseCommand):
    help = (
        'Write regime states from NDJSON: {"symbol", "computed_at", "scores": {"1w": {"bull": 0.8, ...}, ...}} per '
        'line, with an optional "data_through" (ISO date or Unix seconds).'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="NDJSON file, or - for standard input.")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            with open_source(file) as stream, Progress("states", sys.stderr) as progress:
                lines = StateLines(stream, time.time, lambda number, why: self.stderr.write(f"line {number}: {why}"))
                with store_errors_as_command_error(REDIS_ALIAS, _ADVICE):
                    report = Cycle.connect(time.time).write(lines, progress.advance)
        except UnreadableError as error:
            raise CommandError(str(error)) from None
        if warning := report.warning():
            self.stderr.write(warning)
        self.stdout.write(f"{report.summary()} bad_lines={lines.bad} {progress.summary()}")
        if lines.bad:
            raise SystemExit(1)

"""Queue touches from NDJSON."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.lib.ndjson import UnreadableError, open_source
from avo_project.redis_client.errors import store_errors_as_command_error
from outreach.domain.touch import UnknownInboxError
from outreach.keys import REDIS_ALIAS
from outreach.services.intake import BadLine, Intake, accept_lines

_ADVICE = "Earlier lines are queued. Run it again with all lines: those with an idempotency_key are not queued twice."


class Command(BaseCommand):
    help = (
        "Queue touches from NDJSON, one object per line. Invalid lines are reported and skipped; the exit status is "
        "then 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="path of the NDJSON file, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with store_errors_as_command_error(REDIS_ALIAS, _ADVICE), open_source(options["file"]) as lines:
                counts = accept_lines(Intake.connect(time.time), lines, self._report)
        except UnreadableError as error:
            raise CommandError(str(error)) from None
        summary = (f"{name}={counts[name]}" for name in ("queued", "repeated", "suppressed", "rejected"))
        self.stdout.write(" ".join(summary))
        if counts["rejected"]:
            sys.exit(1)

    def _report(self, bad: BadLine) -> None:
        advice = "; create it with set_inbox" if isinstance(bad.error, UnknownInboxError) else ""
        self.stderr.write(f"line {bad.number}: {bad.error}{advice}")

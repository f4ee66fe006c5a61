from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from regime.conf import RegimeConf
from regime.domain.macro import MacroFileError
from regime.domain.prices import TextFileError
from regime.keys import ANSWERS_ALIAS
from regime.services.macro import load_macro_file


class Command(BaseCommand):
    help = "Load macro observations from a CSV file with the columns series_id,date,vintage,value. Idempotent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv[.gz]")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            with store_errors_as_command_error(
                ANSWERS_ALIAS, "No row was loaded. Run the command again when the database is available."
            ):
                today = datetime.now(UTC).date()
                report = load_macro_file(file, today, lambda number, why: self.stderr.write(f"line {number}: {why}"))
        except (MacroFileError, TextFileError, OSError) as error:
            raise CommandError(f"cannot use {file}: {error}") from error
        self.stdout.write(f"rows={report.rows} bad_lines={report.bad}")
        if not report.is_announced:
            self.stderr.write(
                f"warning: the rows are in, but the Redis of the role {ANSWERS_ALIAS} does not answer, so answers that "
                f"it keeps may stay for {RegimeConf.load().macro_fresh_seconds} s. There is nothing to do."
            )
        if report.bad:
            raise SystemExit(1)

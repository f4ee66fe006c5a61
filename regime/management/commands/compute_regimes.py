import time
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from regime.domain.prices import PriceFileError, TextFileError, read_closes, read_euro_pairs
from regime.keys import REDIS_ALIAS
from regime.services.cycle import Cycle, states_of_closes


class Command(BaseCommand):
    help = (
        "Compute regime states from daily closes and write them. Uses the bundled ECB rates unless --prices is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--prices",
            type=Path,
            metavar="FILE.csv[.gz]",
            help="CSV file of daily closes: first column date, then one column per symbol.",
        )
        parser.add_argument(
            "--as-of",
            type=date.fromisoformat,
            default=date.max,
            metavar="DATE",
            help="Last day of closes to use, as YYYY-MM-DD (default: the newest).",
        )

    def handle(self, *args: Any, prices: Path | None, as_of: date, **options: Any) -> None:
        try:
            today = datetime.now(UTC).date()
            closes = (read_closes(prices, today) if prices else read_euro_pairs()).up_to(as_of)
        except (PriceFileError, TextFileError, OSError) as error:
            raise CommandError(f"cannot use {prices}: {error}") from error
        if not closes.days:
            raise CommandError(f"no closes on or before {as_of}")
        with store_errors_as_command_error(
            REDIS_ALIAS, "Written states are kept. Run the command again when Redis is available."
        ):
            report = Cycle.connect(time.time).write(states_of_closes(closes, round(time.time(), 3)))
        if warning := report.warning():
            self.stderr.write(warning)
        self.stdout.write(f"{report.summary()} symbols={len(closes.symbols)} closes_up_to={closes.days[-1]}")

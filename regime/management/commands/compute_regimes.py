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
    help = "Scores daily closes into regime states. Without --prices: the bundled ECB rates as euro pairs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--prices", type=Path, metavar="FILE.csv[.gz]", help="first column date, one column a symbol"
        )
        parser.add_argument(
            "--as-of", type=date.fromisoformat, default=date.max, metavar="DATE", help="closes up to that day"
        )

    def handle(self, *args: Any, prices: Path | None, as_of: date, **options: Any) -> None:
        try:
            today = datetime.now(UTC).date()
            closes = (read_closes(prices, today) if prices else read_euro_pairs()).up_to(as_of)
        except (PriceFileError, TextFileError, OSError) as error:
            raise CommandError(f"cannot use {prices}: {error}") from error
        if not closes.days:
            raise CommandError(f"there is no close up to {as_of}")
        with store_errors_as_command_error(REDIS_ALIAS, "What is written stays; run it again once Redis answers."):
            report = Cycle.connect(time.time).write(states_of_closes(closes, round(time.time(), 3)))
        if warning := report.warning():
            self.stderr.write(warning)
        self.stdout.write(f"{report.summary()} symbols={len(closes.symbols)} closes_up_to={closes.days[-1]}")

import random
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.options import at_least
from avo_project.runtime.stop_flag import StopFlag
from regime.domain.prices import read_euro_pairs
from regime.services.transitions import changes_by_day
from signals_app.keys import REDIS_ALIAS
from signals_app.services.derivation import Change, DemoSource
from signals_app.services.publisher import Publisher
from signals_app.store.stream import StreamFullError

_TIMEFRAME = "1mo"
_DAYS = 250


class Command(BaseCommand):
    help = (
        "Publish regime changes of the bundled ECB history as new signals, for a demo of the live feed. "
        "Started by `make run`; never use it on a stream with real consumers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--per-minute", type=at_least(1, 600), default=4, help="Average number of signals per minute (default: 4)."
        )

    def handle(self, *args: Any, per_minute: int, **options: Any) -> None:
        with StopFlag() as stop, store_errors_as_command_error(REDIS_ALIAS, "Published signals remain."):
            source = DemoSource(
                Publisher.connect(stop.wait),
                _changes(),
                timeframe=_TIMEFRAME,
                per_minute=per_minute,
                clock=time.time,
                spread=lambda: random.uniform(0.5, 1.5),  # noqa: S311 - a pause is no secret
            )
            try:
                source.run(stop)
            except StreamFullError as full:
                raise CommandError(str(full)) from full


def _changes() -> Iterator[tuple[date, Change]]:
    """The changes of the last year, repeated endlessly."""
    closes = read_euro_pairs()
    while True:
        yield from changes_by_day(closes, _TIMEFRAME, _DAYS)

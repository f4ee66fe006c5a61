import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.observability.sampler import Sampler
from avo_project.observability.timeseries import FINE
from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.heartbeat import Heartbeat
from avo_project.runtime.options import seconds_of_at_least
from avo_project.runtime.stop_flag import StopFlag
from regime.keys import REDIS_ALIAS
from regime.services.refresher import Refresher


class Command(BaseCommand):
    help = "Rebuild the collection from all states in Redis, including those written by other programs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--watch",
            type=seconds_of_at_least(1),
            metavar="SECONDS",
            help="Repeat every SECONDS (minimum 1), measured from the start of each run.",
        )

    def handle(self, *args: Any, watch: float | None, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "The collection is unchanged. Run the command again when Redis is available."
        ):
            self._refresh(watch)

    def _refresh(self, watch: float | None) -> None:
        refresher = Refresher.connect(time.time)
        if watch is None:
            self.stdout.write(refresher.step().summary())
            return
        sampler = Sampler.of("regime", "throttling")  # these two have no loop of their own
        with StopFlag() as stop, Heartbeat(lambda: sampler.step(time.monotonic()), FINE.step_seconds / 2):
            refresher.run(stop, watch, lambda report: self.stdout.write(report.summary()))

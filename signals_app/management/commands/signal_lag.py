from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.http.json import dump_json
from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from signals_app.conf import SignalsConf
from signals_app.domain.lag import LagLimits, lag_text
from signals_app.keys import REDIS_ALIAS
from signals_app.services import inspection


class Command(LightCommand):
    help = "Show the lag of the groups. Exit status 1 if a limit is exceeded or the stream is full."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print the figures as JSON.")
        parser.add_argument(
            "--max-pending",
            type=int,
            default=1_000,
            metavar="N",
            help="Maximum pending entries per group (default: 1000).",
        )
        parser.add_argument(
            "--max-lag", type=int, metavar="N", help="Maximum undelivered entries per group (default: no limit)."
        )
        parser.add_argument(
            "--max-age",
            type=float,
            metavar="SECONDS",
            help="Maximum age of the oldest unhandled entry (default: no limit).",
        )

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        try:
            conf = SignalsConf.load()
            named = (options["max_pending"], options["max_lag"], options["max_age"])
            limits = LagLimits(*named, max_length=conf.hard_cap, max_dead=conf.dead_cap)
            with store_errors_as_command_error(REDIS_ALIAS, "The lag is unknown."):
                figures, passed = inspection.passed(limits)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(dump_json(figures.as_json()).decode() if as_json else lag_text(figures))
        if passed:
            raise CommandError("; ".join(map(str, passed)))

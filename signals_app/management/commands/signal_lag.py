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
    help = "Shows how far the groups are behind. Exit status 1 when a limit is passed or the stream is full."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json")
        parser.add_argument("--max-pending", type=int, default=1_000, help="delivered, not acknowledged; per group")
        parser.add_argument("--max-lag", type=int, help="not yet delivered; per group")
        parser.add_argument("--max-age", type=float, metavar="SECONDS", help="of the oldest entry not yet handled")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        try:
            conf = SignalsConf.load()
            named = (options["max_pending"], options["max_lag"], options["max_age"])
            limits = LagLimits(*named, max_length=conf.hard_cap, max_dead=conf.dead_cap)
            with store_errors_as_command_error(REDIS_ALIAS, "How far the groups are behind is not known."):
                figures, passed = inspection.passed(limits)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(dump_json(figures.as_json()).decode() if as_json else lag_text(figures))
        if passed:
            raise CommandError("; ".join(map(str, passed)))

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.http.json import dump_json
from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from signals_app.domain.lag import lag_text
from signals_app.keys import REDIS_ALIAS
from signals_app.management.lag_options import add_lag_options, lag_limits
from signals_app.services import inspection


class Command(LightCommand):
    help = "Show the lag of the groups. Exit status 1 if a limit is exceeded or the stream is full."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print the figures as JSON.")
        add_lag_options(parser)

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        limits = lag_limits(options)
        with store_errors_as_command_error(REDIS_ALIAS, "The lag is unknown."):
            figures, exceeded = inspection.exceeded(limits)
        self.stdout.write(dump_json(figures.as_json()).decode() if as_json else lag_text(figures))
        if exceeded:
            raise CommandError("; ".join(map(str, exceeded)))

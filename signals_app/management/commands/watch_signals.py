from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.runtime.stop_flag import StopFlag
from signals_app.conf import SignalsConf
from signals_app.domain.lag import LagLimits
from signals_app.services import inspection
from signals_app.services.alerts import LagAlert, webhook


class Command(BaseCommand):
    help = "Watches the stream and alerts, by log and webhook, when a group falls behind and when it is well again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--max-pending", type=int, default=1_000)
        parser.add_argument("--max-lag", type=int)
        parser.add_argument("--max-age", type=float, default=60.0, metavar="SECONDS")
        parser.add_argument("--url", default="", help="where alerts are posted; default: the one of the settings")

    def handle(self, *args: Any, **options: Any) -> None:
        conf = SignalsConf.load()
        try:
            named = (options["max_pending"], options["max_lag"], options["max_age"])
            limits = LagLimits(*named, max_length=conf.hard_cap, max_dead=conf.dead_cap)
        except ValueError as error:
            raise CommandError(str(error)) from error
        url = options["url"] or conf.alert_url
        with StopFlag() as stop:
            LagAlert(inspection.figures, limits, [webhook(url)] if url else []).run(stop)

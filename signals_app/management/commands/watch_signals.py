from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.runtime.stop_flag import StopFlag
from signals_app.conf import SignalsConf
from signals_app.domain.lag import LagLimits
from signals_app.services import inspection
from signals_app.services.alerts import LagAlert, webhook


class Command(BaseCommand):
    help = "Watch the stream and alert by log and webhook when a group exceeds a limit and when it recovers."

    def add_arguments(self, parser: ArgumentParser) -> None:
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
            default=60.0,
            metavar="SECONDS",
            help="Maximum age of the oldest unhandled entry (default: 60).",
        )
        parser.add_argument("--url", default="", help="Webhook URL for alerts (default: SIGNALS_ALERT_URL).")

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

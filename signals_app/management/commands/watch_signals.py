from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.runtime.stop_flag import StopFlag
from signals_app.conf import SignalsConf
from signals_app.domain.lag import BEHIND_SECONDS
from signals_app.management.lag_options import add_lag_options, lag_limits
from signals_app.services import inspection
from signals_app.services.alerts import LagAlert, webhook


class Command(BaseCommand):
    help = "Watch the stream and alert by log and webhook when a group exceeds a limit and when it recovers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_lag_options(parser, max_age_seconds=BEHIND_SECONDS)
        parser.add_argument("--url", default="", help="Webhook URL for alerts (default: SIGNALS_ALERT_URL).")

    def handle(self, *args: Any, **options: Any) -> None:
        limits = lag_limits(options)
        url = options["url"] or SignalsConf.load().alert_url
        with StopFlag() as stop:
            LagAlert(inspection.figures, limits, [webhook(url)] if url else []).run(stop)

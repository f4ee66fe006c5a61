"""Forecast when queued touches are sent."""

import json
from argparse import ArgumentParser
from typing import Any

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from avo_project.runtime.options import at_least
from outreach.keys import REDIS_ALIAS
from outreach.services.waiting import WaitForecast, wait_forecasts
from outreach.store.inspection import QueueView


class Command(LightCommand):
    help = "Forecast when queued touches are sent under each inbox's rules, and which rule delays them most."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=at_least(1, 366), default=7, help="days to forecast (default 7)")
        parser.add_argument("--json", action="store_true", help="print one JSON object per line")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(REDIS_ALIAS, "Run it again once it answers."):
            found = list(wait_forecasts(QueueView.connect(), options["days"]))
        if not (found or options["json"]):
            self.stdout.write("No touches are queued.")
        for wait_forecast in found:
            self.stdout.write(json.dumps(as_json(wait_forecast)) if options["json"] else as_line(wait_forecast))


def as_json(wait_forecast: WaitForecast) -> dict[str, Any]:
    found = wait_forecast.forecast
    per_day = {str(day): count for day, count in found.per_day.items()}
    return {
        "inbox": wait_forecast.address,
        "queued": wait_forecast.queued,
        "per_day": per_day,
        "left": found.left,
        "binding": found.binding or None,
    }


def as_line(wait_forecast: WaitForecast) -> str:
    found = wait_forecast.forecast
    days = ", ".join(f"{day:%a %d %b} {count}" for day, count in found.per_day.items()) or "nothing is sent"
    binding = f"; held by {found.binding}" if found.binding else ""
    return f"{wait_forecast.address}: {wait_forecast.queued} queued: {days}; {found.left} left{binding}"

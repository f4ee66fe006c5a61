"""Says what holds a touch or an inbox, and until when."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from outreach.keys import REDIS_ALIAS
from outreach.services.waiting import UnknownTargetError, waiting_of
from outreach.store.inspection import QueueView


class Command(LightCommand):
    help = "Says what holds a touch (by its id) or the next touch of an inbox (by its address), and until when."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="a touch's id or an inbox's address")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with store_errors_as_command_error(REDIS_ALIAS, "Run it again once it answers."):
                waiting = waiting_of(options["target"], QueueView.connect())
        except UnknownTargetError as error:
            raise CommandError(str(error)) from None
        line = f"{waiting.status}. {waiting.text or 'Nothing holds it.'}"
        line += f" Until {waiting.until:%Y-%m-%d %H:%M:%S} UTC." if waiting.until else ""
        self.stdout.write(json.dumps(asdict(waiting), default=str) if options["json"] else line)

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from signals_app.keys import REDIS_ALIAS
from signals_app.services.operations import start_replay
from signals_app.store.group import ReplayGroups, ReplayRejectedError
from signals_app.store.stream import SignalStream


class Command(BaseCommand):
    help = "Deliver a range of the stream again to a group of its own. Consume it with consume_signals --group G."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from", required=True, dest="first", metavar="ID|ISO", help="First entry id or ISO time, inclusive."
        )
        parser.add_argument(
            "--to", required=True, dest="last", metavar="ID|ISO", help="Last entry id or ISO time, inclusive."
        )
        parser.add_argument("--group", required=True, metavar="G", help="Group that gets the range.")

    def handle(self, *args: Any, first: str, last: str, group: str, **options: Any) -> None:
        try:
            with store_errors_as_command_error(
                REDIS_ALIAS, "Check with signal_groups whether the group exists; if not, run it again."
            ):
                entries = start_replay(SignalStream.connect(), ReplayGroups.connect(), group, first, last)
        except (ValueError, ReplayRejectedError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"group={group} entries={entries}")

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from signals_app.keys import REDIS_ALIAS
from signals_app.services.replay import start_replay
from signals_app.store.replay_groups import ReplayGroups, ReplayRefusedError
from signals_app.store.stream import SignalStream


class Command(BaseCommand):
    help = "Delivers a range of the stream again, to a group of its own. Consume it with consume_signals --group G."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", required=True, dest="first", metavar="ID|ISO", help="entry id or time, included")
        parser.add_argument("--to", required=True, dest="last", metavar="ID|ISO", help="entry id or time, included")
        parser.add_argument("--group", required=True)

    def handle(self, *args: Any, first: str, last: str, group: str, **options: Any) -> None:
        try:
            with store_errors_as_command_error(
                REDIS_ALIAS, "See signal_groups whether the group is there; if not, run it again."
            ):
                entries = start_replay(SignalStream.connect(), ReplayGroups.connect(), group, first, last)
        except (ValueError, ReplayRefusedError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"group={group} entries={entries}")

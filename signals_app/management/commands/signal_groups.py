from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from signals_app.domain.lag import lag_text
from signals_app.keys import REDIS_ALIAS
from signals_app.services import inspection
from signals_app.services.operations import OperationRefusedError, describe_forgetting, forget_group
from signals_app.store.group import NameTakenError


class Command(LightCommand):
    help = "Shows the groups of the stream, or forgets one, so that it holds back no trim and gets nothing more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--forget", metavar="G", help="the group to drop, with all it has not handled")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, forget: str | None, yes: bool, **options: Any) -> None:
        with store_errors_as_command_error(REDIS_ALIAS, "Run it again once it answers."):
            if forget is None:
                self.stdout.write(lag_text(inspection.figures()))
            else:
                self._forget(forget, yes)

    def _forget(self, group: str, yes: bool) -> None:
        try:
            self.stdout.write(describe_forgetting(group))
            if not (yes or _is_confirmed()):
                raise CommandError("Nothing was changed. Answer y, or give --yes.")
            self.stdout.write(forget_group(group))
        except (OperationRefusedError, NameTakenError) as error:
            raise CommandError(str(error)) from error


def _is_confirmed() -> bool:
    try:
        return input("Forget it? [y/N] ").strip().lower() == "y"
    except EOFError:  # nobody is there to answer
        return False

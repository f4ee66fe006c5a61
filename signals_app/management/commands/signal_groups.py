from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from signals_app.domain.lag import lag_text
from signals_app.keys import REDIS_ALIAS
from signals_app.services import inspection
from signals_app.services.operations import OperationRejectedError, describe_forgetting, forget_group
from signals_app.store.group import NameTakenError


class Command(LightCommand):
    help = "Show the groups of the stream, or forget one, so that it no longer holds back trimming."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--forget", metavar="G", help="Destroy this group with its unhandled entries.")
        parser.add_argument("--yes", action="store_true", help="Do not ask for confirmation.")

    def handle(self, *args: Any, forget: str | None, yes: bool, **options: Any) -> None:
        with store_errors_as_command_error(REDIS_ALIAS, "Run it again once it is available."):
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
        except (OperationRejectedError, NameTakenError) as error:
            raise CommandError(str(error)) from error


def _is_confirmed() -> bool:
    try:
        return input("Forget it? [y/N] ").strip().lower() == "y"
    except EOFError:  # no terminal
        return False

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from signals_app.keys import REDIS_ALIAS
from signals_app.services.derivation import Deriver
from signals_app.store.stream import StreamFullError


class Command(LightCommand):
    help = "Publish one signal per symbol whose dominant regime changed in the newest cycle, once per cycle."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeframe", default="1mo", help="Timeframe of the regimes (default: 1mo).")

    def handle(self, *args: Any, timeframe: str, **options: Any) -> None:
        try:
            with store_errors_as_command_error(
                f"{REDIS_ALIAS} or regime", "Run it again once it is available; it resumes where it stopped."
            ):
                derived = Deriver.connect().derive(timeframe)
        except (StreamFullError, ValueError, ImportError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"cycle={derived.cycle or 'none'} changes={derived.changes} published={derived.published}")

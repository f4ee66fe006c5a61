from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from signals_app.roles.derivation import Deriver
from signals_app.store.stream import StreamFullError


class Command(BaseCommand):
    help = "Publishes one signal per symbol whose dominant regime changed in the newest cycle; a cycle is done once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeframe", default="1mo")

    def handle(self, *args: Any, timeframe: str, **options: Any) -> None:
        try:
            derived = Deriver.connect().derive(timeframe)
        except (StreamFullError, ValueError, ImportError, RedisError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"cycle={derived.cycle or 'none'} changes={derived.changes} published={derived.published}")

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.lib.ndjson import UnreadableError, open_source
from avo_project.redis_client.errors import REDIS_FAILURES, describe_store_error
from signals_app.keys import REDIS_ALIAS
from signals_app.services.publisher import Publisher, SignalFile, lines_as_they_come
from signals_app.store.stream import StreamFullError


class Command(BaseCommand):
    help = "Publish signals from NDJSON: one object per line with signal_id, symbol, direction and confidence."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE|-", help="File to read, or - for standard input.")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            with open_source(file) as source:
                signals = SignalFile(lines_as_they_come(source), on_bad_line=self.stderr.write)
                signals.publish(Publisher.connect(time.sleep))
        except UnreadableError as error:
            raise CommandError(str(error)) from None
        except StreamFullError as full:
            raise CommandError(f"{full} {signals.progress}") from full
        except REDIS_FAILURES as failure:
            raise CommandError(f"{describe_store_error(failure, REDIS_ALIAS)} {signals.progress}") from failure
        self.stdout.write(f"published={signals.published} bad={signals.bad}")
        if signals.bad:
            raise CommandError(f"{signals.bad} bad lines were skipped")

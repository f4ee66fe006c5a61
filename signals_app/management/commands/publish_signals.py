import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.store_failures import REDIS_FAILURES, told
from signals_app.keys import REDIS_ALIAS
from signals_app.roles.publisher import Publisher
from signals_app.roles.signal_file import SignalFile, open_lines
from signals_app.store.stream import StreamFullError


class Command(BaseCommand):
    help = "Publishes signals from NDJSON: one object a line with signal_id, symbol, direction, confidence."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE|-", help="a file, or - for standard input")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            with open_lines(file) as lines:
                signals = SignalFile(lines, on_bad_line=self.stderr.write)
                signals.publish(Publisher.connect(time.sleep))
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}") from error
        except StreamFullError as full:
            raise CommandError(f"{full} {signals.so_far}") from full
        except REDIS_FAILURES as failure:
            raise CommandError(f"{told(failure, REDIS_ALIAS)} {signals.so_far}") from failure
        self.stdout.write(f"published={signals.published} bad={signals.bad}")
        if signals.bad:
            raise CommandError(f"{signals.bad} bad lines were skipped")

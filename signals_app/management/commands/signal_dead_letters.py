from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.http.json import dump_json
from avo_project.redis_client.errors import REDIS_FAILURES, describe_store_error
from avo_project.runtime.stop_flag import StopFlag
from signals_app.keys import REDIS_ALIAS
from signals_app.services.redriving import LetterFilter, Redriver, Verb
from signals_app.store.dead_letters import DeadLetter, DeadLetters
from signals_app.store.stream import StreamFullError


class Command(BaseCommand):
    help = "Show dead letters, publish them again (--redrive) or delete them (--remove)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reason", default="", help="Only letters whose reason starts with this text, such as bad-direction."
        )
        parser.add_argument("--symbol", default="", help="Only letters of this symbol.")
        parser.add_argument(
            "--limit", type=int, default=1_000_000, metavar="N", help="Maximum number of letters (default: 1000000)."
        )
        verb = parser.add_mutually_exclusive_group()
        verb.add_argument(
            "--redrive", dest="verb", action="store_const", const="redrive", help="Publish the events again."
        )
        verb.add_argument(
            "--remove", dest="verb", action="store_const", const="remove", help="Delete the letters permanently."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only show the letters that would be affected.")
        parser.add_argument(
            "--max-per-second", type=float, metavar="N", help="Maximum letters per second (default: no limit)."
        )

    def handle(self, *args: Any, verb: Verb | None, dry_run: bool, **options: Any) -> None:
        with StopFlag() as stop:
            try:
                wanted = LetterFilter(options["reason"], options["symbol"], options["limit"])
                redriver = Redriver(
                    DeadLetters.connect(),
                    max_per_second=options["max_per_second"],
                    report=self._report,
                    pause=stop.wait,
                )
                redriver.run("show" if dry_run or not verb else verb, wanted)
            except ValueError as error:
                raise CommandError(str(error)) from error
            except StreamFullError as full:
                raise CommandError(f"{full} {redriver.done} letters were processed before.") from full
            except REDIS_FAILURES as failure:
                raise CommandError(
                    f"{describe_store_error(failure, REDIS_ALIAS)} {redriver.done} letters were processed before."
                ) from failure
        self.stdout.write(f"{'would ' if dry_run else ''}{verb or 'show'}={redriver.done}")

    def _report(self, letter: DeadLetter) -> None:
        self.stdout.write(dump_json(letter.as_json()).decode())

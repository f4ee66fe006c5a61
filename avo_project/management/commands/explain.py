from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.console.explain import ACCEPTED_IDS, explain, explanation_text
from avo_project.console.registry import PAYLOAD
from avo_project.http.json import dump_json


class Command(BaseCommand):
    help = "Explain the state of a throttle subject, an inbox, a touch, a symbol or a signal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", help=ACCEPTED_IDS)
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument("--payload", action="store_true", help="Include recipients and contents.")

    def handle(self, *args: Any, what: str, payload: bool, **options: Any) -> None:
        try:
            found = explain(what, lambda permission: payload or PAYLOAD not in permission)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if not found.answers and not found.silent:
            raise CommandError(f"No match found for {found.of!r}. Enter {ACCEPTED_IDS}.")
        self.stdout.write(dump_json(asdict(found)).decode() if options["json"] else explanation_text(found))

"""Lift the suppression of a recipient."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from avo_project.lib.redaction import redacted
from avo_project.models import OperatorAction
from avo_project.redis_client.errors import store_errors_as_command_error
from outreach.keys import REDIS_ALIAS
from outreach.services.suppression import lift_suppression


class Command(BaseCommand):
    help = (
        "Lift the suppression of a recipient, who may then be sent to again; recorded in the audit log. Touches that "
        "it stopped stay suppressed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("recipient", help="address or handle of the recipient, in any spelling")
        parser.add_argument("--reason", required=True, help="why it is lifted, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = options["reason"].strip()
        if not reason:
            raise CommandError("--reason must not be empty")
        with store_errors_as_command_error(REDIS_ALIAS, "Run it again once it answers."), transaction.atomic():
            lifted = lift_suppression(options["recipient"])
            OperatorAction.objects.create(
                username="command line",
                role="outreach",
                action="Lift suppression",
                subject=", ".join(map(str, lifted)),
                reason=redacted(reason)[:300],
                how_many=len(lifted),
                outcome=OperatorAction.Outcome.SUCCEEDED,
                message=f"{len(lifted)} lifted.",
            )
        self.stdout.write(f"lifted={len(lifted)}")

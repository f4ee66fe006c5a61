"""Queues dead touches again."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.store_failures import failures_told
from outreach.keys import REDIS_ALIAS
from outreach.models import Touch
from outreach.roles.remedies import Remedies


class Command(BaseCommand):
    help = "Queues dead touches again, with all their tries. Suppressed recipients stay out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--inbox", help="only those of this inbox")
        parser.add_argument("--reason", help="only those whose reason holds this text")
        parser.add_argument(
            "--since", type=datetime.fromisoformat, help="only those that died at or after this ISO time"
        )
        parser.add_argument("--per-minute", type=int, help="spread them: at most so many a minute")
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        given = {
            "inbox__address": options["inbox"],
            "reason__contains": options["reason"],
            "finished_at__gte": options["since"],
        }
        dead = Touch.objects.filter(status=Touch.Status.DEAD, **{name: value for name, value in given.items() if value})
        with failures_told(
            REDIS_ALIAS,
            "Run reconcile_outreach once it answers: what was redriven stands in the ledger; then run it again.",
        ):
            redriven = 0 if options["dry_run"] else Remedies.connect(time.time).redrive(dead, options["per_minute"])
            left = dead.count()
        self.stdout.write(f"dead={left} redriven={redriven}")

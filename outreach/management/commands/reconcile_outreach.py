"""Requeue what Redis lost."""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.light_command import LightCommand
from outreach.keys import REDIS_ALIAS
from outreach.services.reconcile import Reconciler
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes


class Command(LightCommand):
    help = "Compare the ledger in the database with the queue in Redis and requeue what Redis lost. Safe at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        with store_errors_as_command_error(
            REDIS_ALIAS, "Run it again once it answers: the ledger still holds every touch."
        ):
            reconciler = Reconciler(Lanes.connect(), QueueView.connect(), lease_ms=60_000)
            done = asdict(reconciler.reconcile_all(time.time()))
        line = " ".join(f"{name}={count}" for name, count in done.items())
        self.stdout.write(json.dumps(done) if options["json"] else line)

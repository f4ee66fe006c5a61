import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.observability.sampler import Sampler
from avo_project.runtime.stop_flag import StopFlag


class Command(BaseCommand):
    help = "Sample the figures of the roles for the charts of the admin, every 10 seconds with --watch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "roles", nargs="*", metavar="ROLE", help="regime, signals, outreach or throttling (default: all)."
        )
        parser.add_argument(
            "--watch", action="store_true", help="Repeat every 10 seconds until stopped; otherwise take one sample."
        )

    def handle(self, *args: Any, roles: list[str], watch: bool, **options: Any) -> None:
        try:
            sampler = Sampler.of(*roles)
        except KeyError as unknown:
            raise CommandError(f"unknown role: {unknown}") from unknown
        if not watch:
            self.stdout.write(f"sampled={sampler.step(time.monotonic())}")
            return
        with StopFlag() as stop:
            sampler.run(stop, time.monotonic)

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.observability.sampler import Sampler
from avo_project.runtime.stop_flag import StopFlag


class Command(BaseCommand):
    help = "Keeps the figures of the roles for the charts of the admin, one sample every 10 seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("roles", nargs="*", metavar="ROLE", help="regime, signals, outreach, throttling (all)")
        parser.add_argument("--watch", action="store_true", help="for ever; without it once")

    def handle(self, *args: Any, roles: list[str], watch: bool, **options: Any) -> None:
        try:
            sampler = Sampler.of(*roles)
        except KeyError as unknown:
            raise CommandError(f"there is no role {unknown}") from unknown
        if not watch:
            self.stdout.write(f"sampled={sampler.step(time.monotonic())}")
            return
        with StopFlag() as stop:
            sampler.run(stop, time.monotonic)

"""Send queued touches."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.options import at_least, name_of_at_most, seconds_of_at_least
from avo_project.runtime.stop_flag import StopFlag
from outreach.keys import REDIS_ALIAS
from outreach.services.process import default_name, make_worker


class Command(BaseCommand):
    help = "Send queued touches until stopped. On SIGTERM, wait up to 7 seconds for sends in progress; exit within 10."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--worker",
            type=name_of_at_most(100),
            default=default_name(),
            help="name in the admin and the ledger (default: host name and process id)",
        )
        parser.add_argument(
            "--concurrency",
            type=at_least(1, 1000),
            default=8,
            help="number of touches to send at the same time (default 8)",
        )
        parser.add_argument(
            "--lease-seconds",
            type=seconds_of_at_least(1, 86_400),
            default=60.0,
            help="seconds after which the touches of a dead worker are recovered (default 60)",
        )
        parser.add_argument(
            "--stop-when-idle",
            action="store_true",
            help="exit once no touch is in flight in any worker and none is due within 5 seconds; touches that wait "
            "longer for a limit, a window, a retry or a paused inbox do not keep the worker running",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worker = make_worker(options["worker"], options["concurrency"], options["lease_seconds"])
        with (
            store_errors_as_command_error(REDIS_ALIAS, "Its touches are recovered by the next worker."),
            StopFlag() as stop,
        ):
            worker.run(stop, stop_when_idle=options["stop_when_idle"])
        self.stdout.write(str(worker.counters))

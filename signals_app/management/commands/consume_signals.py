from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from avo_project.runtime.stop_flag import StopFlag
from signals_app import keys
from signals_app.domain.delivery import UnavailableError
from signals_app.services.consumer import ConsumerOptions, assemble_consumer
from signals_app.services.stop_deadline import StopDeadline
from signals_app.store.group import NameTakenError

_ADVICE = "No event was dead-lettered because of it; the rest is redelivered."


class Command(BaseCommand):
    help = (
        "Consume signals: at-least-once delivery to a handler, by default one simulated (paper-trading) execution per "
        "signal_id."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--group", default=keys.DEFAULT_GROUP, help="Consumer group (default: %(default)s).")
        parser.add_argument(
            "--consumer", default="", metavar="NAME", help="Name of the consumer (default: a free slot of this host)."
        )
        parser.add_argument(
            "--count", type=int, default=10, metavar="N", help="Maximum entries per read (default: 10)."
        )
        parser.add_argument(
            "--block-ms",
            type=int,
            default=1_000,
            metavar="MS",
            help="How long a read waits for entries, in milliseconds; at least 100 (default: 1000).",
        )
        parser.add_argument(
            "--claim-idle-ms",
            type=int,
            default=30_000,
            metavar="MS",
            help="Idle time in milliseconds after which entries of expired consumers are claimed, and entries that "
            "another client assigned to this consumer are handled (default: 30000).",
        )
        self._add_delivery_options(parser)
        parser.add_argument(
            "--stop-when-idle", action="store_true", help="Exit when the group has nothing left to handle."
        )

    def _add_delivery_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--max-deliveries",
            type=int,
            metavar="N",
            help="Deliveries after which an entry is moved to the dead letters (default: SIGNALS['MAX_DELIVERIES'] in "
            "the settings, 5).",
        )
        parser.add_argument(
            "--handler",
            default="",
            metavar="dotted.path",
            help="Callable that handles the events (default: SIGNALS['HANDLER'] in the settings, which is "
            "signals_app.services.handling.book_executions). signals_app.services.handling.ignore acknowledges events "
            "without any effect. See signals_app.handlers to write one.",
        )
        parser.add_argument(
            "--ordered",
            action="store_true",
            help="Keep the order within each symbol: an event waits while an earlier event of its symbol is pending in "
            "the group. Every consumer of the group needs this option.",
        )

    def handle(self, *args: Any, stop_when_idle: bool, **options: Any) -> None:
        chosen = ConsumerOptions(**{name: options[name] for name in ConsumerOptions.__slots__})
        with store_errors_as_command_error(keys.REDIS_ALIAS, _ADVICE), StopFlag() as stop:
            deadline = StopDeadline(stop)
            try:
                consumer = assemble_consumer(chosen, deadline)
                counters = consumer.run(stop, deadline, stop_when_idle=stop_when_idle)
            except (ValueError, ImportError, TypeError, NameTakenError) as error:
                raise CommandError(str(error)) from error
            except UnavailableError as error:
                raise CommandError(f"{error}; {consumer.counters}. {_ADVICE}") from error
        self.stdout.write(str(counters))

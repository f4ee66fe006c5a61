"""Creates or changes an inbox; workers follow within 5 seconds."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from outreach.inbox_check import InboxError, parse_window
from outreach.inbox_settings import change_inbox, describe
from outreach.models import Inbox

_PLAIN = ("channel", "per_minute", "per_day", "min_gap_seconds", "timezone", "url", "paused")


class Command(BaseCommand):
    help = "Creates or changes an inbox. What is not named stays as it is. Workers follow within 5 seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="the e-mail address, or the handle of a dm or retarget inbox")
        parser.add_argument("--channel", choices=Inbox.Channel.values)
        parser.add_argument("--per-minute", type=int, help="most touches in any 60 seconds")
        parser.add_argument("--per-day", type=int, help="most touches in any 24 hours")
        parser.add_argument(
            "--min-gap", type=float, dest="min_gap_seconds", metavar="SECONDS", help="between two touches"
        )
        parser.add_argument(
            "--window", metavar="08:00-18:00", help="hours of the day in which it sends, in its time zone"
        )
        parser.add_argument("--timezone", help="IANA time zone of the window, such as Europe/Madrid")
        parser.add_argument("--url", help="where a dm or retarget inbox posts its touches")
        pause = parser.add_mutually_exclusive_group()
        pause.add_argument(
            "--pause", action="store_const", const=True, dest="paused", help="send nothing until --resume"
        )
        pause.add_argument("--resume", action="store_const", const=False, dest="paused")

    def handle(self, *args: Any, **options: Any) -> None:
        changes = {name: options[name] for name in _PLAIN if options[name] is not None}
        try:
            if options["window"] is not None:
                changes["window_opens"], changes["window_closes"] = parse_window(options["window"])
            inbox = change_inbox(options["address"], changes)
        except InboxError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(describe(inbox))

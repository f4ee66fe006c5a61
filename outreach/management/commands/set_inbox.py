"""Create or change an inbox."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avo_project.redis_client.errors import store_errors_as_command_error
from outreach.domain.channels import CHANNELS, EMAIL
from outreach.domain.inbox_settings import PRESETS, InboxError, parse_warm_up, parse_window
from outreach.keys import REDIS_ALIAS
from outreach.services.inboxes import change_inbox, describe

_PLAIN = (
    "channel",
    "per_minute",
    "per_day",
    "min_gap_seconds",
    "timezone",
    "url",
    "display_name",
    "reply_to",
    "paused",
)


class Command(BaseCommand):
    help = "Create or change an inbox. Only the given settings are changed. Workers apply changes within 5 seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="e-mail address, or handle on another channel")
        parser.add_argument(
            "--channel", choices=list(CHANNELS), help=f"channel of the inbox (default for a new inbox: {EMAIL})"
        )
        parser.add_argument("--per-minute", type=int, help="maximum number of touches in any 60 seconds")
        parser.add_argument("--per-day", type=int, help="maximum number of touches in any 24 hours")
        parser.add_argument(
            "--min-gap", type=float, dest="min_gap_seconds", metavar="SECONDS", help="minimum time between two touches"
        )
        parser.add_argument("--window", metavar="08:00-18:00", help="daily sending window, in the inbox's time zone")
        parser.add_argument(
            "--timezone", help="IANA time zone of the inbox, such as Europe/Madrid (default for a new inbox: UTC)"
        )
        parser.add_argument("--url", help="URL that touches are posted to, on channels that need one")
        parser.add_argument("--display-name", metavar="TEXT", help="name of the sender in mails; empty for none")
        parser.add_argument(
            "--reply-to", metavar="ADDRESS", help="address for replies to mails; empty for the inbox's own"
        )
        parser.add_argument(
            "--preset", choices=sorted(PRESETS), help="limits of a provider; other options override them"
        )
        parser.add_argument(
            "--warm-up",
            metavar="START,STEP,TARGET",
            help="daily limit that grows from today (inbox's time zone): START, STEP more each day, up to TARGET; "
            "off ends the warm-up",
        )
        pause = parser.add_mutually_exclusive_group()
        pause.add_argument(
            "--pause", action="store_const", const=True, dest="paused", help="stop sending until --resume"
        )
        pause.add_argument("--resume", action="store_const", const=False, dest="paused", help="resume sending")

    def handle(self, *args: Any, **options: Any) -> None:
        named = {name: options[name] for name in _PLAIN if options[name] is not None}
        changes = {**PRESETS.get(options["preset"], {}), **named}
        try:
            if options["warm_up"] is not None:
                changes |= parse_warm_up(options["warm_up"])
            if options["window"] is not None:
                changes["window_opens"], changes["window_closes"] = parse_window(options["window"])
            with store_errors_as_command_error(
                REDIS_ALIAS, "The inbox is unchanged; run it again once the database is writable."
            ):
                inbox = change_inbox(options["address"], changes, warm_up_at=time.time())
        except InboxError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(describe(inbox))

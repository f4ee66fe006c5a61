"""A real SMTP server in a thread that accepts every mail and records its time of arrival."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Any

from aiosmtpd.controller import Controller

from tests.outreach.smtp_server import free_port


@dataclass(frozen=True, slots=True)
class Arrival:
    """One accepted mail; ``at`` in seconds of the monotonic clock."""

    sender: str
    touch_id: str
    at: float


@dataclass
class MailSink:
    """Handler of the server; ``port`` is where it listens on the loopback interface."""

    port: int = 0
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def email_url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def counts(self) -> Counter[str]:
        """The number of mails per touch."""
        return Counter(arrival.touch_id for arrival in self.arrivals)

    def times_by_sender(self) -> dict[str, list[float]]:
        by_sender: dict[str, list[float]] = {}
        for arrival in self.arrivals:
            by_sender.setdefault(arrival.sender, []).append(arrival.at)
        return by_sender

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        headers = BytesHeaderParser().parsebytes(envelope.content)
        touch_id = headers["Message-ID"].strip("<>").partition("@")[0]
        self.arrivals.append(Arrival(envelope.mail_from, touch_id, time.monotonic()))
        return "250 OK"


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    sink = MailSink(free_port())
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()

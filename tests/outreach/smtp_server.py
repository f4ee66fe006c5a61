"""A real SMTP server in a thread of the test, with configurable failures."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


@dataclass
class Script:
    """The server's reply to each command: ``drop`` closes the connection, ``hang`` never replies, ``drip`` never ends
    its reply, any other text is sent unchanged. ``extensions``: what EHLO offers; None: all that the server knows."""

    answers: dict[str, str] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    sessions: int = 0
    extensions: tuple[str, ...] | None = None

    async def play(self, server: SMTP, command: str) -> str | None:
        answer = self.answers.get(command)
        if answer == "drop":
            server.transport.abort()
            return "451 gone"
        while answer == "drip":
            server.transport.write(b"2")
            await asyncio.sleep(0.05)
        if answer == "hang":
            await asyncio.sleep(3600)
        return answer

    async def handle_EHLO(
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.sessions += 1
        if self.extensions is None:
            return responses
        return [*(f"250-{name}" for name in self.extensions), "250 HELP"]

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = await self.play(server, "MAIL")
        envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = await self.play(server, "RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        self.recipients += envelope.rcpt_tos
        self.senders.append(envelope.mail_from)
        return await self.play(server, "CONTENT") or "250 OK"


class _Scripted(SMTP):
    async def smtp_DATA(self, arg: str) -> None:
        script: Script = self.event_handler
        answer = await script.play(self, "DATA")
        if answer:
            await self.push(answer)
            return
        await super().smtp_DATA(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Scripted(self.handler, **self.SMTP_kwargs)


@contextmanager
def smtp_server(**answers: str) -> Iterator[tuple[Script, int]]:
    """The running server's script and port."""
    script = Script(answers)
    controller = _Controller(script, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield script, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

"""A real SMTP server in threads whose reply at every stage is scripted, with non-ASCII texts and several lines."""

import random
import re
import socketserver
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from outreach.domain.reply_rules import Stage

_STAGES = {b"EHLO": Stage.EHLO, b"HELO": Stage.EHLO, b"STARTTLS": Stage.STARTTLS, b"AUTH": Stage.AUTH}
_STAGES |= {b"MAIL": Stage.MAIL, b"RCPT": Stage.RCPT, b"DATA": Stage.DATA}
_OK = {Stage.GREETING: "220 ready", Stage.AUTH: "235 ok", Stage.DATA: "354 go on"}
DROP = "drop"


@dataclass
class Mail:
    """What is known of a mail at a stage."""

    sender: str = ""
    recipient: str = ""
    content: bytes = b""

    @property
    def number(self) -> int:
        """That of the recipient ``r<number>@…``; 0 before it is known."""
        found = re.match(r"r(\d+)@", self.recipient)
        return int(found[1]) if found else 0

    @property
    def touch_id(self) -> str:
        found = re.search(rb"^Message-ID: <([^@>]+)@", self.content, re.MULTILINE)
        return found[1].decode() if found else ""


@dataclass
class Relay:
    """``script(stage, mail)`` returns the reply to send, ``DROP`` to close the connection, or None to accept."""

    script: Callable[[Stage, Mail], str | None] = lambda stage, mail: None
    port: int = 0
    mails: list[Mail] = field(default_factory=list)

    @property
    def email_url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def arrivals(self) -> list[Mail]:
        return self.mails

    def counts(self) -> Counter[str]:
        """The number of mails per touch."""
        return Counter(mail.touch_id for mail in self.mails)

    def reply(self, stage: Stage, mail: Mail) -> str:
        scripted = self.script(stage, mail)
        if scripted is not None:
            return scripted
        if stage is Stage.END:
            self.mails.append(Mail(mail.sender, mail.recipient, mail.content))
        extensions = "250-relay\r\n250-AUTH PLAIN\r\n250-STARTTLS\r\n250 SIZE"
        return extensions if stage is Stage.EHLO else _OK.get(stage, "250 ok")


@dataclass
class Misbehaving:
    """A script of a relay with moods. It greylists, takes ``at_once`` mails of a sender between pauses of a second, is
    away while ``is_away`` is set, refuses every fiftieth recipient if it ``refuses``, and has trouble now and then."""

    is_away: bool = False
    refuses: bool = True
    at_once: int = 10
    first_seen: dict[int, float] = field(default_factory=dict)
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    said: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(20261129))

    def __call__(self, stage: Stage, mail: Mail) -> str | None:
        reply = self._reply(stage, mail)
        if reply:
            self.said[reply[:9]] += 1
        return reply

    def _reply(self, stage: Stage, mail: Mail) -> str | None:
        if self.is_away and stage is not Stage.END:
            return DROP
        if stage is Stage.MAIL and self.chance.random() < 0.02:
            return self.chance.choice([DROP, "421 4.3.2 shutting down", "451 4.3.0 local trouble"])
        if stage is Stage.END and self.chance.random() < 0.02:
            return "451 4.3.0 local trouble after the content"
        return self._to_recipient(mail, time.monotonic()) if stage is Stage.RCPT else None

    def _to_recipient(self, mail: Mail, now: float) -> str | None:
        if self.refuses and mail.number % 50 == 49:
            return "550 5.1.1 no such user"
        if mail.number % 5 == 0 and now - self.first_seen.setdefault(mail.number, now) < 1.0:
            return "450 4.2.0 greylisted"
        taken = self.taken[mail.sender]
        if taken and len(taken) % self.at_once == 0 and now - taken[-1] < 1.0:
            return "450 4.7.1 rate limit exceeded, try again in 1 seconds"
        taken.append(now)
        return None


class _Handler(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        mail = Mail()
        if not self._say(Stage.GREETING, mail):
            return None
        while line := self.rfile.readline():
            verb = line.split(None, 1)[0].upper() if line.strip() else b""
            if verb == b"QUIT":
                return self._write("221 bye")
            if verb == b"RSET" or verb not in _STAGES:
                self._write("250 ok")
                continue
            stage = _STAGES[verb]
            self._note(stage, line, mail)
            said = self._say(stage, mail)
            if stage is Stage.DATA and said.startswith("354"):
                mail.content = self._content()
                said = self._say(Stage.END, mail)
            if not said:
                return None
        return None

    def _note(self, stage: Stage, line: bytes, mail: Mail) -> None:
        address = re.search(rb"<([^>]*)>", line)
        if stage is Stage.MAIL and address:
            mail.sender, mail.recipient, mail.content = address[1].decode(), "", b""
        if stage is Stage.RCPT and address:
            mail.recipient = address[1].decode()

    def _content(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)

    def _say(self, stage: Stage, mail: Mail) -> str:
        """The reply sent, or an empty text when the connection must be closed."""
        said = self.server.relay.reply(stage, mail)
        if said == DROP:
            return ""
        self._write(said)
        return "" if said.startswith(("421", "521")) or (stage is Stage.GREETING and said[0] in "45") else said

    def _write(self, text: str) -> None:
        self.wfile.write(text.replace("\\n", "\r\n").encode("latin-1") + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    relay: Relay

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error."""


@contextmanager
def relay_server(script: Callable[[Stage, Mail], str | None] | None = None, port: int = 0) -> Iterator[Relay]:
    relay = Relay(script) if script else Relay()
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.relay, relay.port = relay, server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()

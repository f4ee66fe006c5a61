"""A real SMTP server in threads whose reply at every stage is scripted, with non-ASCII texts and several lines."""

import re
import socketserver
import threading
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
    """What is known of a mail at a stage. ``number`` counts the stages that the server was asked at, from 1."""

    sender: str = ""
    recipient: str = ""
    content: bytes = b""
    number: int = 0

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
    asked: int = 0

    def reply(self, stage: Stage, mail: Mail) -> str:
        self.asked += 1
        mail.number = self.asked
        scripted = self.script(stage, mail)
        if scripted is not None:
            return scripted
        if stage is Stage.END:
            self.mails.append(Mail(mail.sender, mail.recipient, mail.content))
        extensions = "250-relay\r\n250-AUTH PLAIN\r\n250-STARTTLS\r\n250 SIZE"
        return extensions if stage is Stage.EHLO else _OK.get(stage, "250 ok")


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

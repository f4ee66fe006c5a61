"""Django's SMTP backend, with one thing more: it knows whether a mail may have left."""

import io
import math
import smtplib
import socket
import time
from typing import Any

from django.core.mail.backends.smtp import EmailBackend


class _Reply(io.RawIOBase):
    """Reads a reply until ``ends_at``: a server that drips would hold one read after another below its time limit."""

    ends_at = 0.0

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply is too slow")
        limit = self._sock.gettimeout()
        self._sock.settimeout(None if limit is None else min(left, limit))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(limit)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Watched:
    """Mixed into smtplib's classes: commands go out as text, only a mail's content as bytes. A whole reply must be
    there within the connection's time limit."""

    content_sent = False
    sock: Any
    file: Any

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Reply(self.sock))
        if self.file is not None:
            self.file.raw.ends_at = time.monotonic() + (self.sock.gettimeout() or math.inf)
        return super().getreply()  # type: ignore[misc,no-any-return]

    def send(self, data: Any) -> None:
        if isinstance(data, bytes):
            self.content_sent = True
        super().send(data)  # type: ignore[misc]


class _WatchedSMTP(_Watched, smtplib.SMTP):
    pass


class _WatchedSMTPSSL(_Watched, smtplib.SMTP_SSL):
    pass


class WatchedEmailBackend(EmailBackend):
    """``content_sent``: whether any content of the current mail was sent to the server."""

    @property
    def connection_class(self) -> Any:
        return _WatchedSMTPSSL if self.use_ssl else _WatchedSMTP

    @property
    def content_sent(self) -> bool:
        return isinstance(self.connection, _Watched) and self.connection.content_sent

    def start_mail(self) -> None:
        """Forgets the mail before."""
        if isinstance(self.connection, _Watched):
            self.connection.content_sent = False

    def drop(self) -> None:
        """Closes the connection without a farewell that could block."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

"""E-mail through the backend that Django's EMAIL_* settings name."""

import io
import math
import smtplib
import socket
import time
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend

from outreach.conf import OutreachConf
from outreach.domain.reply_rules import ReplyClass
from outreach.domain.reservation import SENT, Outcome, Outgoing
from outreach.services.senders.delivery_errors import classify, classify_esp, is_esp_error
from outreach.services.senders.message import TouchMail

_DJANGO_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_WATCHED_SMTP = "outreach.services.senders.email.WatchedEmailBackend"
_KEEP_SECONDS = 20.0  # well under the 5 minutes that RFC 5321, 4.5.3.2.7 has a server wait for a command


class EmailSender:
    """Sends e-mail; keeps its connection open for a few seconds for the next mail."""

    def __init__(self, conf: OutreachConf) -> None:
        self._conf = conf
        self._connection: Any = None
        self._used_at = 0.0

    def send(self, touch: Outgoing) -> Outcome:
        reused = self._connection is not None and time.monotonic() - self._used_at < _KEEP_SECONDS
        if not reused:
            self.close()
        outcome = self._try(touch)
        if reused and outcome.is_inbox_failure and outcome.code == 0:  # the server closed the idle connection
            outcome = self._try(touch)
        self._used_at = time.monotonic()
        return outcome

    def close(self) -> None:
        """Closes the connection and ignores errors."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.fail_silently = True
            connection.close()

    def _try(self, touch: Outgoing) -> Outcome:
        try:
            if self._connection is None:
                self._connection = _connection(self._conf.smtp_timeout_seconds)
                self._connection.open()
            if isinstance(self._connection, WatchedEmailBackend):
                self._connection.start_mail()
            TouchMail(touch, self._conf, self._connection).send()
        except (smtplib.SMTPException, OSError) as error:
            return self._outcome_of(error)
        except Exception as error:
            if is_esp_error(error):
                return classify_esp(error, time.time())
            if not isinstance(error, ValueError):
                raise
            # a mail that cannot be built, for example for a bad header: nothing was sent
            detail = f"the mail cannot be built: {type(error).__name__}"
            return Outcome("give_up", detail=detail, reply_class=ReplyClass.CONTENT)
        return SENT

    def _outcome_of(self, error: Exception) -> Outcome:
        connection, self._connection = self._connection, None
        if is_esp_error(error):
            return classify_esp(error, time.time())
        if not isinstance(connection, WatchedEmailBackend):
            return classify(error, content_sent=connection is not None)
        outcome = classify(error, content_sent=connection.content_sent)
        connection.drop()
        return outcome


def _connection(timeout_seconds: float) -> Any:
    if settings.EMAIL_BACKEND != _DJANGO_SMTP:
        return get_connection()
    return get_connection(_WATCHED_SMTP, timeout=settings.EMAIL_TIMEOUT or timeout_seconds)


class _Reply(io.RawIOBase):
    """Reads a reply until ``ends_at``. A per-read timeout alone would let a slow server block without end."""

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
    """A mixin of smtplib's classes that notes when content is sent (only content is sent as bytes) and limits the time
    of a whole reply."""

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
    """Django's SMTP backend with ``content_sent``: whether any content of the current mail was sent."""

    @property
    def connection_class(self) -> Any:
        return _WatchedSMTPSSL if self.use_ssl else _WatchedSMTP

    @property
    def content_sent(self) -> bool:
        return isinstance(self.connection, _Watched) and self.connection.content_sent

    def start_mail(self) -> None:
        """Resets ``content_sent``."""
        if isinstance(self.connection, _Watched):
            self.connection.content_sent = False

    def drop(self) -> None:
        """Closes the connection without QUIT, which could block; also one on which TLS or the login failed, which
        Django keeps as ``_partial_connection``."""
        for connection in (self.connection, getattr(self, "_partial_connection", None)):
            if connection is not None:
                connection.close()
        self.connection = self._partial_connection = None

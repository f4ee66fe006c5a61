"""Django's SMTP backend, with one thing more: it knows whether a mail may have left."""

import smtplib
from typing import Any

from django.core.mail.backends.smtp import EmailBackend


class _Watched:
    """Mixed into smtplib's classes: commands go out as text, only a mail's content as bytes."""

    content_sent = False

    def send(self, data: Any) -> None:
        if isinstance(data, bytes):
            self.content_sent = True
        super().send(data)  # type: ignore[misc]


class _WatchedSMTP(_Watched, smtplib.SMTP):
    pass


class _WatchedSMTPSSL(_Watched, smtplib.SMTP_SSL):
    pass


class WatchedEmailBackend(EmailBackend):
    """``content_sent`` tells whether the content of the mail in hand went to the server, in part or in full."""

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

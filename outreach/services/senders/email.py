"""E-mail through the backend that Django's EMAIL_* settings name."""

import smtplib
import time
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from outreach.conf import OutreachConf
from outreach.domain.reservation import SENT, Outcome, Outgoing
from outreach.services.senders.delivery_errors import classify, classify_esp, is_esp_error
from outreach.services.senders.smtp import WatchedEmailBackend
from outreach.services.suppression import unsubscribe_token

_DJANGO_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_WATCHED_SMTP = "outreach.services.senders.smtp.WatchedEmailBackend"
_LINE_CHARACTERS = 900  # RFC 5322, 2.1.1 allows 998
_KEEP_SECONDS = 20.0  # well under the 5 minutes that RFC 5321, 4.5.3.2.7 has a server wait for a command


class EmailSender:
    """Keeps its connection for the mails that follow shortly."""

    def __init__(self, conf: OutreachConf) -> None:
        self._conf = conf
        self._connection: Any = None
        self._used_at = 0.0

    def send(self, touch: Outgoing) -> Outcome:
        reused = self._connection is not None and time.monotonic() - self._used_at < _KEEP_SECONDS
        if not reused:
            self.close()
        outcome = self._try(touch)
        if reused and outcome.is_inbox_failure and outcome.code == 0:  # the server hung up on a connection kept open
            outcome = self._try(touch)
        self._used_at = time.monotonic()
        return outcome

    def close(self) -> None:
        """Says goodbye to the server; what it answers does not matter any more."""
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
            message(touch, self._conf.public_url, self._connection).send()
        except (smtplib.SMTPException, OSError) as error:
            return self._outcome_of(error)
        except Exception as error:
            if is_esp_error(error):
                return classify_esp(error)
            if not isinstance(error, ValueError):
                raise
            # a mail that cannot be written down, such as a bad header: nothing was sent
            return Outcome("give_up", detail=f"cannot be made a mail: {type(error).__name__}")
        return SENT

    def _outcome_of(self, error: Exception) -> Outcome:
        connection, self._connection = self._connection, None
        if is_esp_error(error):
            return classify_esp(error)
        if not isinstance(connection, WatchedEmailBackend):
            return classify(error, content_sent=connection is not None)
        outcome = classify(error, content_sent=connection.content_sent)
        connection.drop()
        return outcome


def message(touch: Outgoing, public_url: str, connection: Any = None) -> EmailMessage:
    """The mail of a touch. The same touch always has the same Message-ID, so a mailbox can tell a second copy."""
    unsubscribe = f"{public_url.rstrip('/')}/u/{unsubscribe_token(touch.touch_id)}"
    headers = {
        "Message-ID": f"<{touch.touch_id}@{touch.sender_address.rpartition('@')[2]}>",
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mail = _UnfoldedMail(touch.subject, touch.body, touch.sender_address, [touch.recipient], headers=headers)
    mail.connection = connection
    return mail


class _UnfoldedMail(EmailMessage):
    """Keeps the unsubscribe link on the line of its header: simple readers of RFC 2369 fields look only there."""

    def message(self, **options: Any) -> Any:
        made: Any = super().message(**options)
        made.policy = made.policy.clone(max_line_length=_LINE_CHARACTERS)
        return made


def _connection(timeout_seconds: float) -> Any:
    if settings.EMAIL_BACKEND != _DJANGO_SMTP:
        return get_connection()
    return get_connection(_WATCHED_SMTP, timeout=settings.EMAIL_TIMEOUT or timeout_seconds)

"""Delivery errors as outcomes: the stage at which a server refused, and errors of mail providers' APIs."""

import smtplib
import ssl
import sys
from typing import Any

from outreach.domain.replies import misconfigured, no_answer, refusal, retry_after_seconds
from outreach.domain.reply_rules import ReplyClass, Stage
from outreach.domain.reservation import Outcome

_STAGES = {
    smtplib.SMTPConnectError: Stage.GREETING,
    smtplib.SMTPHeloError: Stage.EHLO,
    smtplib.SMTPAuthenticationError: Stage.AUTH,
    smtplib.SMTPSenderRefused: Stage.MAIL,
    smtplib.SMTPResponseException: Stage.STARTTLS,
}


def classify(error: Exception, *, content_sent: bool) -> Outcome:
    """The outcome of ``error``; ``content_sent``: whether the mail may have reached the server."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, reply), *_] = error.recipients.values()
        return _answered(Stage.RCPT, code, _text(reply), content_sent=content_sent)
    if isinstance(error, smtplib.SMTPDataError):
        stage = Stage.END if content_sent else Stage.DATA
        return _answered(stage, error.smtp_code, _text(error.smtp_error), content_sent=content_sent)
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(_STAGES[type(error)], error.smtp_code, _text(error.smtp_error), content_sent=content_sent)
    if isinstance(error, ssl.SSLCertVerificationError):
        return misconfigured(f"the server's certificate is invalid: {error}")
    if type(error) is smtplib.SMTPException:  # smtplib knows none of the server's authentication methods
        return misconfigured(str(error), ReplyClass.LOGIN)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return misconfigured(str(error))
    return no_answer(f"{type(error).__name__}: {error}", handed_over=content_sent)


def _answered(stage: Stage, code: int, reply: str, *, content_sent: bool) -> Outcome:
    """Codes outside of 400 to 599 (-1: none) do not count as a reply."""
    detail = f"{code} {reply}"
    if not 400 <= code < 600:
        return no_answer(f"{detail!r} is not an SMTP reply", handed_over=content_sent)
    return refusal(stage, code, reply, detail)


def _text(reply: bytes | str) -> str:
    """Replies are ASCII or UTF-8 (RFC 6531, 3.7.4.2); older servers use Latin-1."""
    if isinstance(reply, str):
        return reply
    try:
        return reply.decode()
    except UnicodeDecodeError:
        return reply.decode("latin-1")


# Errors of requests and urllib3 that occur before anything is sent.
_BEFORE_SENDING = ("ConnectTimeout", "NewConnectionError", "NameResolutionError", "SSLError", "ProxyError")


def is_esp_error(error: Exception) -> bool:
    """Whether ``error`` comes from a backend of django-anymail."""
    module = sys.modules.get("anymail.exceptions")
    return module is not None and isinstance(error, (module.AnymailError, module.AnymailConfigurationError))


def classify_esp(error: Any, now: float) -> Outcome:
    """The outcome of an ``error`` for which ``is_esp_error`` is true; ``now`` (Unix seconds) resolves a Retry-After
    date. The error's text may contain the mail, so only names and codes are kept."""
    name = type(error).__name__
    if name == "AnymailRecipientsRefused":
        detail = "the mail service refuses the recipient"
        return Outcome("suppress", detail=detail, reply_class=ReplyClass.RECIPIENT_GONE)
    if "Configuration" in name:
        return misconfigured(f"the mail service is not set up: {name}")
    code = getattr(error, "status_code", None)
    if code is not None:
        return _by_code(code, getattr(error, "response", None), now)
    if isinstance(error, ValueError):  # an address or feature that the service does not support: nothing was sent
        detail = f"the mail service does not support it: {name}"
        return Outcome("give_up", detail=detail, reply_class=ReplyClass.CONTENT)
    if _cannot_connect(error):
        return no_answer("cannot connect to the mail service", handed_over=False)
    return no_answer(name, handed_over=True)


def _by_code(code: int, response: Any, now: float) -> Outcome:
    detail = f"the mail service answers {code}"
    if 200 <= code < 300:  # accepted, but the answer could not be parsed
        return Outcome("unknown", code, detail)
    wait = retry_after_seconds(str(getattr(response, "headers", {}).get("Retry-After", "")), now)
    return refusal(Stage.API, code, "", detail, wait)


def _cannot_connect(error: BaseException) -> bool:
    """Whether the cause of the error, or its text, names a failure to connect."""
    cause = error.__cause__
    return cause is not None and any(name in f"{type(cause).__name__} {cause!r}" for name in _BEFORE_SENDING)

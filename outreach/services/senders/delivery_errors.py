"""Classifies delivery errors: SMTP replies (RFC 5321, 4.2; RFC 3463) and errors of mail providers' APIs."""

import re
import smtplib
import sys
from dataclasses import replace
from typing import Any

from outreach.domain.reservation import Kind, Outcome

# RFC 2034, 4: an enhanced code starts the text of a reply line; elsewhere it is ordinary text.
_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}\b", re.MULTILINE)
_POLICY = "5.7."  # RFC 3463, 3.8: security or policy


def classify(error: Exception, *, content_sent: bool) -> Outcome:
    """The outcome of ``error``; ``content_sent``: whether the mail may have reached the server."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, reply), *_] = error.recipients.values()
        return _answered(code, _text(reply), "suppress", content_sent=content_sent)
    if isinstance(error, smtplib.SMTPResponseException):
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        refusal: Kind = "pause" if is_login or isinstance(error, smtplib.SMTPSenderRefused) else "give_up"
        outcome = _answered(error.smtp_code, _text(error.smtp_error), refusal, content_sent=content_sent)
        return replace(outcome, is_inbox_failure=True) if is_login else outcome
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome("pause", detail=str(error))
    return _no_answer(f"{type(error).__name__}: {error}", content_sent=content_sent)


def _answered(code: int, reply: str, refusal: Kind, *, content_sent: bool) -> Outcome:
    """``refusal``: the outcome of a 5xx that is not about policy. Other codes (-1: none) do not count as a reply."""
    detail = f"{code} {reply}"
    if 400 <= code < 500:
        return Outcome("retry", code, detail, is_inbox_failure=code == 421)
    if not 500 <= code < 600:
        return _no_answer(f"{detail!r} is not an SMTP reply", content_sent=content_sent)
    enhanced = _ENHANCED.search(reply)
    is_policy = enhanced is not None and enhanced[0].startswith(_POLICY)
    return Outcome("pause" if is_policy else refusal, code, detail)


def _no_answer(what: str, *, content_sent: bool) -> Outcome:
    if content_sent:
        return Outcome("unknown", detail=f"no answer after the mail was handed over: {what}")
    return Outcome("retry", detail=f"no answer before the mail was handed over: {what}", is_inbox_failure=True)


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)


_NOT_NOW = frozenset({408, 425, 429})
_INBOX_IS_WRONG = frozenset({401, 402, 403})
# Errors of requests and urllib3 that occur before anything is sent.
_BEFORE_SENDING = ("ConnectTimeout", "NewConnectionError", "NameResolutionError", "SSLError", "ProxyError")


def is_esp_error(error: Exception) -> bool:
    """Whether ``error`` comes from a backend of django-anymail."""
    module = sys.modules.get("anymail.exceptions")
    return module is not None and isinstance(error, (module.AnymailError, module.AnymailConfigurationError))


def classify_esp(error: Any) -> Outcome:
    """The outcome of an ``error`` for which ``is_esp_error`` is true. Its text may contain the mail, so only names and
    codes are kept."""
    name = type(error).__name__
    if name == "AnymailRecipientsRefused":
        return Outcome("suppress", detail="the mail service refuses the recipient")
    if "Configuration" in name:
        return Outcome("pause", detail=f"the mail service is not set up: {name}")
    code = getattr(error, "status_code", None)
    if code is not None:
        return _by_code(code, getattr(error, "response", None))
    if isinstance(error, ValueError):  # an address or feature that the service does not support: nothing was sent
        return Outcome("give_up", detail=f"the mail service does not support it: {name}")
    if _cannot_connect(error):
        return Outcome("retry", detail="cannot connect to the mail service", is_inbox_failure=True)
    return Outcome("unknown", detail=f"no answer after the mail was handed over: {name}")


def _by_code(code: int, response: Any) -> Outcome:
    detail = f"the mail service answers {code}"
    if 200 <= code < 300:  # accepted, but the answer could not be parsed
        return Outcome("unknown", code, detail)
    if code in _NOT_NOW or code >= 500:
        wait = str(getattr(response, "headers", {}).get("Retry-After", ""))
        seconds = float(wait) if wait.isascii() and wait.isdigit() else None
        return Outcome("retry", code, detail, retry_after_seconds=seconds, is_inbox_failure=code >= 500)
    return Outcome("pause" if code in _INBOX_IS_WRONG else "give_up", code, detail)


def _cannot_connect(error: BaseException) -> bool:
    """Whether the cause of the error, or its text, names a failure to connect."""
    cause = error.__cause__
    return cause is not None and any(name in f"{type(cause).__name__} {cause!r}" for name in _BEFORE_SENDING)

"""What an SMTP failure means for the touch, its recipient and its inbox (RFC 5321 section 4.2, RFC 3463)."""

import re
import smtplib
from dataclasses import replace

from outreach.rules.outcome import Kind, Outcome

# RFC 2034, 4: the enhanced code begins the text of a reply's line; anywhere else it is but words.
_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}\b", re.MULTILINE)
_POLICY = "5.7."  # RFC 3463, 3.8: security or policy


def classify(error: Exception, *, content_sent: bool) -> Outcome:
    """The outcome of ``error``; ``content_sent`` says whether the mail may have reached the server."""
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
    """``refusal``: what a 5xx means here, if it is not one of policy. Neither 4xx nor 5xx (-1: no number) is none."""
    detail = f"{code} {reply}"
    if 400 <= code < 500:
        return Outcome("retry", code, detail, is_inbox_failure=code == 421)
    if not 500 <= code < 600:
        return _no_answer(f"{detail!r} is no reply of SMTP", content_sent=content_sent)
    enhanced = _ENHANCED.search(reply)
    is_policy = enhanced is not None and enhanced[0].startswith(_POLICY)
    return Outcome("pause" if is_policy else refusal, code, detail)


def _no_answer(what: str, *, content_sent: bool) -> Outcome:
    if content_sent:
        return Outcome("unknown", detail=f"no answer after the mail was handed over: {what}")
    return Outcome("retry", detail=f"no answer before the mail was handed over: {what}", is_inbox_failure=True)


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)

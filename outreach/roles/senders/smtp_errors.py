"""What an SMTP failure means for the touch, its recipient and its inbox (RFC 5321 section 4.2, RFC 3463)."""

import re
import smtplib

from outreach.rules.outcome import Outcome

_POLICY = re.compile(r"\b5\.7\.\d{1,3}\b")  # RFC 3463, 3.8: security or policy


def classify(error: Exception, *, content_sent: bool) -> Outcome:
    """The outcome of ``error``; ``content_sent`` says whether the mail may have reached the server."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, reply), *_] = error.recipients.values()
        return _by_code(code, _text(reply), about_recipient=True)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Outcome(
            "retry" if 400 <= error.smtp_code < 500 else "pause",
            error.smtp_code,
            _text(error.smtp_error),
            is_inbox_failure=True,
        )
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
        outcome = _by_code(error.smtp_code, _text(error.smtp_error), about_recipient=False)
        is_about_sender = isinstance(error, smtplib.SMTPSenderRefused) and outcome.kind == "give_up"
        return Outcome("pause", outcome.code, outcome.detail) if is_about_sender else outcome
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome("pause", detail=str(error))
    return _no_answer(error, content_sent=content_sent)


def _by_code(code: int, reply: str, *, about_recipient: bool) -> Outcome:
    detail = f"{code} {reply}"[:500]
    if 400 <= code < 500:
        return Outcome("retry", code, detail, is_inbox_failure=code == 421)
    if _POLICY.search(reply):
        return Outcome("pause", code, detail)
    return Outcome("suppress" if about_recipient else "give_up", code, detail)


def _no_answer(error: Exception, *, content_sent: bool) -> Outcome:
    what = f"{type(error).__name__}: {error}"[:400]
    if content_sent:
        return Outcome("unknown", detail=f"no answer after the mail was handed over: {what}")
    return Outcome("retry", detail=f"no answer before the mail was handed over: {what}", is_inbox_failure=True)


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)

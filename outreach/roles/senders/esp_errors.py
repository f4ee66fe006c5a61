"""What an error of django-anymail means. Nothing of it is imported: it need not be installed."""

import sys
from typing import Any

from outreach.rules.outcome import Outcome

_NOT_NOW = frozenset({408, 425, 429})
_INBOX_IS_WRONG = frozenset({401, 402, 403})
# Nothing was written to the connection yet, by the names that requests and urllib3 give it.
_BEFORE_SENDING = ("ConnectTimeout", "NewConnectionError", "NameResolutionError", "SSLError", "ProxyError")


def is_esp_error(error: Exception) -> bool:
    """Whether ``error`` comes from a backend of django-anymail."""
    module = sys.modules.get("anymail.exceptions")
    return module is not None and isinstance(error, (module.AnymailError, module.AnymailConfigurationError))


def classify_esp(error: Any) -> Outcome:
    """The outcome of an ``error`` for which ``is_esp_error`` holds. Its text may hold the mail, so only names and
    numbers are kept."""
    name = type(error).__name__
    if name == "AnymailRecipientsRefused":
        return Outcome("suppress", detail="the mail service refuses the recipient")
    if "Configuration" in name:
        return Outcome("pause", detail=f"the mail service is not set up: {name}")
    code = getattr(error, "status_code", None)
    if code is not None:
        return _by_code(code, getattr(error, "response", None))
    if isinstance(error, ValueError):  # an address or a feature that the service does not take: nothing was sent
        return Outcome("give_up", detail=f"the mail service cannot take it: {name}")
    if _cannot_connect(error):
        return Outcome("retry", detail="cannot connect to the mail service", is_inbox_failure=True)
    return Outcome("unknown", detail=f"no answer after the mail was handed over: {name}")


def _by_code(code: int, response: Any) -> Outcome:
    detail = f"the mail service answers {code}"
    if 200 <= code < 300:  # taken, but in words that were not understood
        return Outcome("unknown", code, detail)
    if code in _NOT_NOW or code >= 500:
        wait = str(getattr(response, "headers", {}).get("Retry-After", ""))
        seconds = float(wait) if wait.isascii() and wait.isdigit() else None
        return Outcome("retry", code, detail, retry_after_seconds=seconds, is_inbox_failure=code >= 500)
    return Outcome("pause" if code in _INBOX_IS_WRONG else "give_up", code, detail)


def _cannot_connect(error: BaseException) -> bool:
    """``requests`` names the reason in the error's cause, urllib3 in the text of that one."""
    cause = error.__cause__
    return cause is not None and any(name in f"{type(cause).__name__} {cause!r}" for name in _BEFORE_SENDING)

"""Limits failed log-ins, and the number of passwords that are verified at a time."""

import hashlib
import logging
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from avo_project.console.actions import ActionResult, AuditEntry, write_audit_entry
from avo_project.lib.formatting import duration
from throttling.models import RateLimits
from throttling.services import process
from throttling.services.rate_limiter import Decision

logger = logging.getLogger(__name__)

_WRONG = frozenset(("invalid_login", "inactive", "password_incorrect"))
_BUSY_SECONDS = 2
_one_at_a_time = threading.Lock()  # verifying a password takes one core for about half a second
_at_most_waiting = threading.BoundedSemaphore(3)  # request threads


def guarded(request: HttpRequest, username: str, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Returns the response of ``view``, which verifies the password of ``username`` on a POST.

    An account or address with too many failed log-ins gets 429 before its password is verified. While too many requests
    wait, further ones get 503. Only a wrong password is charged, after the response.
    """
    if request.method != "POST":
        return view()
    account = _account(username)
    if blocked := process.rate_limiter().blocked_login(request.META, account):
        return _rejected(request, blocked)
    with _queued() as is_admitted:
        if not is_admitted:
            text = "The server is verifying other log-ins. Try again in a few seconds."
            return _page(request, 503, text, _BUSY_SECONDS)
        if blocked := process.rate_limiter().blocked_login(request.META, account):
            return _rejected(request, blocked)
        response = view()
        if _is_wrong(response):
            for decision in process.rate_limiter().charge_failed_login(request.META, account):
                _audit_exhausted_limit(request, decision)
    return response


@contextmanager
def _queued() -> Iterator[bool]:
    if not _at_most_waiting.acquire(blocking=False):
        yield False
        return
    try:
        with _one_at_a_time:
            yield True
    finally:
        _at_most_waiting.release()


def _account(username: str) -> str:
    """The subject of an account: its primary key, or the digest of the case-folded name when it does not exist."""
    name = unicodedata.normalize("NFKC", username.strip())  # as Django's form does
    users = get_user_model().objects.filter(username=name) if "\0" not in name else get_user_model().objects.none()
    if (pk := users.values_list("pk", flat=True).first()) is not None:
        return f"user:{pk}"
    digest = hashlib.blake2b(name.casefold().encode("utf-8", "surrogatepass"), digest_size=16)
    return f"name:{digest.hexdigest()}"


def _is_wrong(response: HttpResponse) -> bool:
    form = (getattr(response, "context_data", None) or {}).get("form")
    errors = form.errors.as_data().values() if form is not None else ()
    return any(error.code in _WRONG for found in errors for error in found)


def _audit_exhausted_limit(request: HttpRequest, decision: Decision) -> None:
    """Writes an audit row when a charge uses up a limit."""
    outcome = decision.outcome
    full = [policy for policy, left in zip(outcome.hit.policies, outcome.remaining(), strict=True) if not left]
    if not full or not outcome.charged:
        return
    longest = full[-1]
    text = f"{longest.limit} failed log-ins within {duration(longest.window_seconds)}. Further ones are rejected."
    entry = AuditEntry(
        "Block log-ins", decision.quota.subject, "Too many failed log-ins", ActionResult(text, longest.limit), True
    )
    write_audit_entry(request, cast("Options[Model]", RateLimits._meta), entry)  # noqa: SLF001 - Django's documented API
    logger.warning("log-ins blocked: %s", text)


def _rejected(request: HttpRequest, blocked: Decision) -> HttpResponse:
    seconds = blocked.outcome.retry_after_seconds
    return _page(request, 429, f"Too many failed log-ins. Try again in {duration(seconds)}.", seconds)


def _page(request: HttpRequest, status: int, text: str, retry_after: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Log in later", "text": text}
    headers = {"Retry-After": str(retry_after), "Cache-Control": "no-store"}
    return TemplateResponse(request, "admin/login_refused.html", context, status=status, headers=headers)

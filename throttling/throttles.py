"""DRF's throttle by plan: the default of every API view."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from avo_project.http.problems import Problem
from throttling.services import process
from throttling.services.answers import rejection

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_ANY = "*"


def _may_be_unchanged(request: Request) -> bool:
    """Whether the answer may be a 304, which costs nothing: the middleware charges it once it is known not to be.

    Who asks for any copy at all (``*``) has none, so that is charged; and no route answers 304 by a date.
    """
    tags = request.META.get("HTTP_IF_NONE_MATCH", _ANY).strip()
    return request.method in ("GET", "HEAD") and tags != _ANY


class PlanThrottle(BaseThrottle):
    """Charges a request to its caller's quota: one unit. What its answer cost beyond that is charged after it, by
    ``RateLimitMiddleware``.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        """Raises Problem: 429 when the limit is reached, 503 for a write that cannot be counted exactly."""
        limiter = process.rate_limiter()
        decide = limiter.test if _may_be_unchanged(request) else limiter.charge
        decision = decide(request.META, request.user)
        if not decision.outcome.allowed:
            raise rejection(decision)
        if not decision.outcome.exact and request.method not in _SAFE_METHODS:
            detail = "The rate limiter is unavailable, so writes are temporarily rejected. Try again."
            raise Problem(503, "limits-unavailable", detail, headers={"Retry-After": "5"})
        return True

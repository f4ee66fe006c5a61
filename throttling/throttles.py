"""The default DRF throttle class of every API view."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from avo_project.http.problems import Problem
from throttling.services import process
from throttling.services.answers import rejection

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_ANY = "*"


def _may_be_unchanged(request: Request) -> bool:
    """Whether the response may be a 304, which is not charged. The middleware charges any other response.

    ``If-None-Match: *`` never gets a 304, and no route supports ``If-Modified-Since``.
    """
    tags = request.META.get("HTTP_IF_NONE_MATCH", _ANY).strip()
    return request.method in ("GET", "HEAD") and tags != _ANY


class PlanThrottle(BaseThrottle):
    """Charges each request one unit of its caller's quota. ``RateLimitMiddleware`` charges further units after the
    response.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        """Raises Problem: 429 over the limit, 503 for a write while Redis does not answer."""
        limiter = process.rate_limiter()
        decide = limiter.test if _may_be_unchanged(request) else limiter.charge
        decision = decide(request.META, request.user)
        if not decision.outcome.allowed:
            raise rejection(decision)
        if not decision.outcome.exact and request.method not in _SAFE_METHODS:
            detail = "The rate limiter is unavailable, so writes are temporarily rejected. Try again."
            raise Problem(503, "limits-unavailable", detail, headers={"Retry-After": "5"})
        return True

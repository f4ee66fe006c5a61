"""DRF's throttle by plan: the default of every API view."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from avo_project.problem_details import Problem
from throttling import process
from throttling.answers import refusal

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class PlanThrottle(BaseThrottle):
    """Charges a request to its caller's quota. A view that is dearer than others says so in ``throttle_cost``."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Raises Problem: 429 when the limit is reached, 503 for a write that cannot be counted exactly."""
        receipt = process.toll().charge(request.META, request.user, getattr(view, "throttle_cost", 1))
        if not receipt.outcome.allowed:
            raise refusal(receipt)
        if not receipt.outcome.exact and request.method not in _SAFE_METHODS:
            raise Problem(
                503, "limits-unavailable", "Writes wait until they can be counted.", headers={"Retry-After": "5"}
            )
        return True

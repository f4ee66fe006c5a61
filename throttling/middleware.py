"""Middleware that adds the RateLimit fields, and charges requests that DRF answered before its throttles ran."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from avo_project.http.problems import problem_response
from throttling.conf import ThrottlingConf
from throttling.services import process
from throttling.services.answers import STREAMS, fields, rejection
from throttling.services.rate_limiter import DECISION, Decision, count_from_zero
from throttling.throttles import PlanThrottle


class RateLimitMiddleware:
    """Charges what no throttle has charged, and sets ``RateLimit`` and ``RateLimit-Policy``.

    DRF checks permissions before throttles, so a 401 or 403 is charged here: otherwise these would be unlimited. A
    404 outside the admin is charged to the caller's address. A conditional request is charged here unless its
    response is a 304. A view sets ``throttle_cost`` on its response when it cost more than one unit.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        count_from_zero(ThrottlingConf.load().rates)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if DECISION not in request.META:
            view = request.resolver_match and request.resolver_match.func
            if not (_is_counted(view) or _is_not_found(request, response)):
                return response
            response = _charge_unthrottled(request, response)
        decision: Decision | None = request.META[DECISION]
        if decision and decision.outcome.is_pending:
            response = _charge_conditional(request, decision, response)
        _charge_extra(request, response)
        _set_fields(request, response)
        return response


def _is_counted(view: Any) -> bool:
    """Whether ``view`` is a DRF view with PlanThrottle."""
    cls = getattr(view, "cls", None)
    return cls is not None and PlanThrottle in view.initkwargs.get("throttle_classes", cls.throttle_classes)


def _is_not_found(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether no route or host matches, or a view outside the admin answered 404."""
    match = request.resolver_match
    if match is None:
        return response.status_code in (400, 404)
    return response.status_code == 404 and not match.route.startswith("admin/")


def _charge_unthrottled(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    user = (
        request.user if hasattr(request, "auth") else None
    )  # DRF sets both; without `auth` it is the user of the session
    if response.status_code == 503:  # a failure of the server is not charged
        process.rate_limiter().test(request.META, user, cost=0)
        return response
    decision = process.rate_limiter().charge(request.META, user)
    return response if decision.outcome.allowed else _rejected(decision)


def _charge_conditional(request: HttpRequest, tested: Decision, response: HttpResponse) -> HttpResponse:
    if response.status_code == 304:
        process.rate_limiter().release(tested)
        return response
    decision = process.rate_limiter().commit(request.META, tested)
    return response if decision.outcome.allowed else _rejected(decision)


def _charge_extra(request: HttpRequest, response: HttpResponse) -> None:
    decision: Decision | None = request.META[DECISION]
    cost = getattr(response, "throttle_cost", 1)
    if decision and decision.outcome.charged and cost > decision.outcome.hit.cost:
        process.rate_limiter().charge_extra(request.META, decision, cost)


def _rejected(decision: Decision) -> HttpResponse:
    problem = rejection(decision)
    return problem_response(429, str(problem.detail), problem.problem_type, problem.headers, **problem.members)


def _set_fields(request: HttpRequest, response: HttpResponse) -> None:
    """Sets the RateLimit fields; none without a decision."""
    decision: Decision | None = request.META[DECISION]
    for name, value in fields(decision.outcome, request.META.get(STREAMS)).items() if decision else ():
        response.headers[name] = value

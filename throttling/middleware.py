"""Tells every API caller where it stands, and charges what DRF answered before it came to its throttles, and 404s."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from avo_project.http.problems import problem_response
from throttling import conf
from throttling.services import process
from throttling.services.answers import STREAMS, fields, rejection
from throttling.services.rate_limiter import DECISION, Decision, count_from_zero
from throttling.throttles import PlanThrottle


class RateLimitMiddleware:
    """DRF checks permissions before throttles: a 401 or 403 from there is charged here, or anyone could have them
    without end. So is a 404 of any other route but the admin's, on the account of its address. A conditional
    request is charged here too, unless its answer is a 304, which costs nothing. What an answer turned out to cost
    beyond that, its ``throttle_cost`` says.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        count_from_zero(conf.load().rates)

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
    """Whether ``view`` is a DRF view under PlanThrottle."""
    cls = getattr(view, "cls", None)
    return cls is not None and PlanThrottle in view.initkwargs.get("throttle_classes", cls.throttle_classes)


def _is_not_found(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether it asks for what there is not, or under another host. The admin's 404s are for who signed in."""
    match = request.resolver_match
    if match is None:
        return response.status_code in (400, 404)
    return response.status_code == 404 and not match.route.startswith("admin/")


def _charge_unthrottled(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    user = request.user if hasattr(request, "auth") else None  # DRF sets both; alone, it is the session's user
    if response.status_code == 503:  # nobody pays for what is nobody's fault
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
    """Without a decision nobody paid, and there is no limit to tell of."""
    decision: Decision | None = request.META[DECISION]
    for name, value in fields(decision.outcome, request.META.get(STREAMS)).items() if decision else ():
        response.headers[name] = value

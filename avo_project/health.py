"""Liveness and readiness: is this process up, and is what it needs up."""

import logging
from collections.abc import Callable

from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from avo_project.problem_details import problem_response
from avo_project.redis_roles import ROLES

logger = logging.getLogger(__name__)


def livez(request: HttpRequest) -> HttpResponse:
    """``GET /livez``: 200 as long as this process answers at all."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """``GET /readyz``: every dependency by name, ``ok`` or ``down``; 503 when one is down."""
    checks = {name: _outcome(name, check) for name, check in _dependencies().items()}
    down = [name for name, outcome in checks.items() if outcome != "ok"]
    if down:
        return problem_response(503, f"Down: {', '.join(down)}.", "not-ready", checks=checks)
    return JsonResponse({"status": "ok", "checks": checks})


def _dependencies() -> dict[str, Callable[[], object]]:
    checks: dict[str, Callable[[], object]] = {"database": _database}
    for role in ROLES:
        checks[f"redis:{role.alias}"] = get_redis_connection(role.alias).ping
    return checks


def _database() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")


def _outcome(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except (DatabaseError, RedisError) as failure:
        logger.warning("readiness: %s is down: %s", name, failure)
        return "down"
    return "ok"

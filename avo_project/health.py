"""Liveness and readiness: is this process up, and is what it needs up."""

import logging
from collections.abc import Callable
from functools import cache

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from avo_project.problem_details import only_safe_methods, problem_response
from avo_project.redis_roles import ROLES

logger = logging.getLogger(__name__)


@only_safe_methods
def livez(request: HttpRequest) -> HttpResponse:
    """``GET /livez``: 200 as long as this process answers at all."""
    return JsonResponse({"status": "ok"})


@only_safe_methods
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
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
    if _known_migrations() - MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations().keys():
        raise DatabaseError("its tables are not up to date; run: python manage.py migrate")


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """App and name of every migration on the disk."""
    return frozenset(MigrationLoader(None).disk_migrations)


def _outcome(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except (DatabaseError, RedisError) as failure:
        logger.warning("readiness: %s is down: %s", name, failure)
        return "down"
    return "ok"

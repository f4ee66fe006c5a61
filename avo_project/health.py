"""Liveness and readiness endpoints."""

import logging
from functools import cache

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse

from avo_project.http.problems import only_safe_methods, problem_response
from avo_project.redis_client.monitoring import WRITE_PROBER
from avo_project.redis_client.roles import ROLES

logger = logging.getLogger(__name__)


@only_safe_methods
def livez(request: HttpRequest) -> HttpResponse:
    """``GET /livez``: 200 while this process responds."""
    return JsonResponse({"status": "ok"})


@only_safe_methods
def readyz(request: HttpRequest) -> HttpResponse:
    """``GET /readyz``: every dependency by name, ``ok`` or ``down``; 503 when one is down, does not
    respond or refuses writes."""
    redis = WRITE_PROBER.failures([role.alias for role in ROLES], settings.HEALTH["PING_SECONDS"])
    failures = {"database": _database_failure(), **{f"redis:{alias}": failure for alias, failure in redis.items()}}
    checks = {name: "down" if failure else "ok" for name, failure in failures.items()}
    down = [name for name, failure in failures.items() if failure]
    if not down:
        return JsonResponse({"status": "ok", "checks": checks})
    for name in down:
        logger.warning("readiness: %s is down: %s", name, failures[name])
    return problem_response(503, f"Down: {', '.join(down)}.", "not-ready", checks=checks)


def _database_failure() -> str:
    """The failure of the database; empty when it is ready."""
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
            if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
                cursor.execute("SELECT current_setting('transaction_read_only')")
                if cursor.fetchone() == ("on",):
                    return "it is read-only: a standby, or default_transaction_read_only"
        applied = MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()
    except DatabaseError as failure:
        return str(failure) or type(failure).__name__
    is_behind = _known_migrations() - applied.keys()
    return "migrations are missing; run: python manage.py migrate" if is_behind else ""


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """App and name of every migration on disk."""
    return frozenset(MigrationLoader(None).disk_migrations)

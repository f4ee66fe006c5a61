"""Prometheus metrics: counters of this process, gauges read live from Redis, and the /metrics page."""

import hmac
import ipaddress
import logging
import os
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Metric,
    generate_latest,
    multiprocess,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from avo_project.http.problems import only_safe_methods, problem_response
from avo_project.redis_client.monitoring import ROLE_PINGER
from avo_project.redis_client.roles import ROLES
from avo_project.runtime.role_config import declared

logger = logging.getLogger(__name__)

_PROXY_FIELDS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cdn-loop",
        "fastly-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-amzn-trace-id",
        "max-forwards",
    }
)


class LiveCollector(Collector):
    """The live gauges of all roles. A role whose Redis or database is down has only ``avo_role_up`` 0."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("avo_role_up", "Whether the role's live state could be read", labels=["role"])
        failures = ROLE_PINGER.failures([role.alias for role in ROLES], settings.HEALTH["PING_SECONDS"])
        for role, source in sorted(declared("live_metrics").items()):
            gauges, failure = ([], failures[role]) if failures.get(role) else _read(source)
            if failure:
                logger.warning("cannot read the metrics of %s: %s", role, failure)
            up.add_metric([role], not failure)
            yield from gauges
        yield up


def _read(source: Callable[[], Iterable[Metric]]) -> tuple[list[Metric], str]:
    """The gauges and an empty text, or no gauges and the failure."""
    try:
        return list(source()), ""
    except (RedisError, DatabaseError) as failure:
        return [], str(failure) or type(failure).__name__
    except Exception as bug:
        logger.exception("reading the metrics of a role failed")
        return [], str(bug) or type(bug).__name__


@only_safe_methods
def metrics_page(request: HttpRequest) -> HttpResponse:
    """``GET /metrics``, for programs on this host or with the bearer token in METRICS_TOKEN."""
    if not _may_read(request):
        return problem_response(403, "Metrics require a bearer token.")
    registry = CollectorRegistry()
    registry.register(LiveCollector())
    page = generate_latest(_process_registry()) + generate_latest(registry)
    return HttpResponse(page, content_type=CONTENT_TYPE_LATEST)


def serve_process_counters(host: str, port: int) -> None:
    """Serves the counters of a process without a web server.

    A port in use is logged and does not stop the process.
    """
    try:
        start_http_server(port, host)
    except OSError as failure:
        logger.warning("METRICS_LISTEN: cannot serve the counters of this process at %s:%d: %s", host, port, failure)


def _process_registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def has_metrics_token(request: HttpRequest) -> bool:
    """Whether METRICS_TOKEN is set and the request carries it."""
    token: str = settings.METRICS_TOKEN
    scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
    is_bearer = scheme.lower() == "bearer"  # in any letter case (RFC 9110, section 11.1)
    return bool(token) and is_bearer and hmac.compare_digest(given.lstrip(" ").encode(), token.encode())


def _may_read(request: HttpRequest) -> bool:
    if has_metrics_token(request):
        return True
    return _is_local(request)


def _is_local(request: HttpRequest) -> bool:
    """Whether the request comes from a program on this host, and not through a proxy on this host.

    nginx with a plain ``proxy_pass`` (before 1.29.7) adds no header and sends its own name as host; it is recognised by
    its HTTP/1.0.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    if peer and not _is_loopback(peer):  # no address: a unix socket, protected by file permissions
        return False
    if request.META.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return False
    if any(name in _PROXY_FIELDS or name.startswith("x-forwarded-") for name in map(str.lower, request.headers)):
        return False
    host = request.META.get("HTTP_HOST", "")
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

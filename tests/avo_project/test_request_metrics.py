"""Requests are counted with a bounded number of label values."""

from typing import Any

import pytest
from django.http import HttpResponse
from prometheus_client import REGISTRY

from avo_project.observability.middleware import RequestMetricsMiddleware

pytestmark = pytest.mark.django_db


def count(**labels: str) -> float:
    return REGISTRY.get_sample_value("avo_http_request_seconds_count", labels) or 0


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/livez", "livez", "2xx"),
        ("/", "root", "3xx"),
        ("/nowhere/at/all", "none", "4xx"),
        ("/api/intelligence/regime/NO-SUCH", "api/intelligence/regime/<anytext:symbol>", "4xx"),
        ("/admin/auth/user/", "admin", "3xx"),
    ],
)
def test_a_request_counts_under_its_route(client: Any, redis_of: Any, path: str, route: str, status: str) -> None:
    labels = {"method": "GET", "route": route, "status": status}
    before = count(**labels)
    client.get(path)
    assert count(**labels) == before + 1


def test_an_invented_method_is_one_of_the_others(rf: Any) -> None:
    labels = {"method": "other", "route": "none", "status": "5xx"}
    before = count(**labels)
    RequestMetricsMiddleware(lambda request: HttpResponse(status=503))(rf.generic("BREW", "/"))
    assert count(**labels) == before + 1

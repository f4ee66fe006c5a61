"""Liveness, readiness, metrics, schema and docs: public, never throttled, correct."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client import CollectorRegistry, generate_latest
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project import health
from avo_project.observability import metrics
from avo_project.redis_client import metrics as redis_metrics
from avo_project.redis_client import monitoring
from avo_project.redis_client.monitoring import Pinger
from tests.doubles import DownRedis

pytestmark = pytest.mark.django_db

METRICS_CALLERS = json.loads((Path(__file__).parent / "data" / "metrics_callers.json").read_text())


def test_livez_needs_nothing(client: Any) -> None:
    assert client.get("/livez").json() == {"status": "ok"}


@pytest.mark.parametrize(("token", "status"), [("known", 200), ("wrong", 400), ("", 400)])
def test_only_metrics_with_the_token_are_read_under_any_host(
    client: Any, redis_of: Any, settings: Any, token: str, status: int
) -> None:
    """Prometheus asks each replica by its address (``deploy/prometheus/prometheus.yml``)."""
    settings.METRICS_TOKEN = "known"
    by_address = {"HTTP_HOST": "172.18.0.5:8000", "HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert client.get("/metrics", **by_address).status_code == status
    assert client.get("/api/schema", **by_address).status_code == 400


def test_readyz_names_every_dependency(client: Any, redis_of: Any) -> None:
    assert client.get("/readyz").json()["checks"] == {
        "database": "ok",
        "redis:default": "ok",
        "redis:regime": "ok",
        "redis:signals": "ok",
        "redis:outreach": "ok",
        "redis:throttling": "ok",
    }


def test_readyz_is_503_and_names_the_one_that_is_down(
    client: Any, redis_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:

    def ping(alias: str) -> None:
        failing = {"ping"} if alias == "signals" else set()
        DownRedis(redis_of(alias), is_down=False, failing_commands=failing).ping()

    monkeypatch.setattr(health, "WRITE_PROBER", Pinger(ping))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["checks"]["redis:signals"] == "down"
    assert answer.json()["checks"]["redis:regime"] == "ok"
    assert "redis:signals" in answer.json()["detail"]


@pytest.mark.real_server
def test_readyz_is_503_while_a_redis_refuses_writes(
    client: Any, redis_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A primary that lacks replicas answers PING."""
    monkeypatch.setattr(monitoring.WRITE_PROBER, "_keep_seconds", 0.0)
    server = redis_of("signals")
    assert client.get("/readyz").status_code == 200
    server.config_set("min-replicas-to-write", 1)
    try:
        assert server.ping()
        answer = client.get("/readyz")
    finally:
        server.config_set("min-replicas-to-write", 0)
    assert (answer.status_code, answer.json()["checks"]["redis:signals"]) == (503, "down")
    assert client.get("/readyz").status_code == 200


def test_answers_of_a_server_are_kept_for_a_second() -> None:
    now, pings = [100.0], list[str]()
    pinger = Pinger(pings.append, keep_seconds=1.0, monotonic=lambda: now[0])
    for at, count in ((100.0, 1), (100.9, 1), (101.0, 2)):
        now[0] = at
        assert pinger.failures(["signals"], 5) == {"signals": ""}
        assert len(pings) == count


def test_readyz_is_503_while_a_migration_is_due(client: Any, redis_of: Any) -> None:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder(connection).record_unapplied("outreach", "0001_initial")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "down")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/api/schema", "/api/docs"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_what_only_shows_refuses_every_other_method_in_json(path: str, method: str) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer.json()["status"] == 405


@pytest.mark.parametrize("name", ["json", "csv", "xml", "api"])
@pytest.mark.parametrize("path", ["/api/macro", "/api/intelligence/regime", "/api/intelligence/regime/EURUSD=X"])
def test_a_format_is_no_parameter_of_a_route(client: Any, redis_of: Any, path: str, name: str) -> None:
    answer = client.get(f"{path}?format={name}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["format"])
    assert answer.json()["detail"].startswith("format: This route has no such parameter.")


@pytest.mark.parametrize(
    ("query", "media_type"),
    [("", "application/vnd.oai.openapi"), ("?format=json", "application/vnd.oai.openapi+json")],
)
def test_the_schema_comes_in_the_format_that_is_asked_for(client: Any, query: str, media_type: str) -> None:
    answer = client.get(f"/api/schema{query}")
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, media_type)


def test_a_format_nobody_knows_is_refused_in_json(client: Any) -> None:
    answer = client.get("/api/schema?format=foo")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """The Redis of the role ``signals`` takes connections and answers nothing."""
    release = threading.Event()

    def ping(alias: str) -> None:
        if alias == "signals":
            release.wait()

    pinger = Pinger(ping)
    monkeypatch.setattr(health, "WRITE_PROBER", pinger)
    for module in (metrics, redis_metrics):
        monkeypatch.setattr(module, "ROLE_PINGER", pinger)
    settings.HEALTH = {"PING_SECONDS": 0.2}
    yield
    release.set()


def test_a_redis_that_hangs_is_named_and_keeps_nobody_waiting(client: Any, redis_of: Any, hanging: None) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["redis:signals"]) == (503, "down")
    page = client.get("/metrics", HTTP_HOST="localhost").content
    assert b'avo_role_up{role="signals"} 0.0' in page
    assert b'avo_role_up{role="outreach"} 1.0' in page
    assert b'avo_redis_up{role="signals"} 0.0' in page


@pytest.mark.parametrize("where", METRICS_CALLERS["direct"], ids=str)
def test_metrics_are_for_programs_on_this_host(client: Any, where: dict[str, str], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert client.get("/metrics", **where).status_code == 200


@pytest.mark.parametrize("where", METRICS_CALLERS["refused"], ids=str)
def test_metrics_are_refused_to_strangers_and_through_a_proxy(
    client: Any, where: dict[str, str], settings: Any
) -> None:
    settings.METRICS_TOKEN = "sesame"
    settings.ALLOWED_HOSTS = ["*"]
    assert client.get("/metrics", **where).status_code == 403
    for wrong in ("Bearer wrong", "Bearer", "Basic sesame", "sesame", "Bearer sesame x", "Bearer SESAME"):
        assert client.get("/metrics", **where, HTTP_AUTHORIZATION=wrong).status_code == 403
    for right in ("Bearer sesame", "bearer sesame", "BEARER  sesame"):
        assert client.get("/metrics", **where, HTTP_AUTHORIZATION=right).status_code == 200


@pytest.mark.parametrize("failure", [RedisConnectionError("gone"), KeyError("a bug")])
def test_a_role_that_cannot_be_read_is_shown_as_down(
    redis_of: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def lost() -> Any:
        raise failure

    monkeypatch.setattr("regime.metrics.live_metrics", lost)
    registry = CollectorRegistry()
    registry.register(metrics.LiveCollector())
    assert b'avo_role_up{role="regime"} 0.0' in generate_latest(registry)


def test_the_schema_is_openapi_3_1(client: Any) -> None:
    answer = client.get("/api/schema", HTTP_ACCEPT="application/json")
    assert answer.json()["openapi"].startswith("3.1")


def test_the_docs_bring_their_own_assets(client: Any) -> None:
    page = client.get("/api/docs").content.decode()
    assert "swagger" in page
    assert "//cdn" not in page
    assert "https://" not in page.replace("https://spec.openapis.org", "")


def test_the_root_leads_to_the_docs(client: Any) -> None:
    assert client.get("/")["Location"] == "/api/docs"

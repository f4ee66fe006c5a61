"""``check --deploy``: each finding, present and absent."""

from typing import Any

import pytest
from django.core.checks import run_checks
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project import checks
from avo_project import checks as redis_checks
from avo_project.environment import stored_secret_key
from avo_project.redis_client import monitoring
from avo_project.redis_client.monitoring import ServerFacts, summed

QUIET = {"used_memory": 1, "maxmemory_policy": "noeviction", "aof_enabled": 1}


def ids(found: Any) -> list[str]:
    return [message.id for message in found]


@pytest.mark.parametrize(("debug", "expected"), [(True, ["avo.E002"]), (False, [])])
def test_debug(settings: Any, debug: bool, expected: list[str]) -> None:
    settings.DEBUG = debug
    assert ids(checks.debug_is_off(None)) == expected


def test_the_stored_secret_key_is_found(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    settings.SECRET_KEY = stored_secret_key(tmp_path)
    assert ids(checks.secret_key_is_given(None)) == ["avo.W002"]
    settings.SECRET_KEY = "given-by-the-environment"
    assert ids(checks.secret_key_is_given(None)) == []


def test_a_folder_without_a_kept_key_is_fine(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    assert ids(checks.secret_key_is_given(None)) == []


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["*"], ["avo.E003"]),
        (["avo.example", "*"], ["avo.E003"]),
        (["localhost", "127.0.0.1", "[::1]"], ["avo.W003"]),
        (["avo.example", "localhost"], []),
    ],
)
def test_hosts(settings: Any, hosts: list[str], expected: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    assert ids(checks.hosts_are_named(None)) == expected


@pytest.mark.parametrize(("token", "expected"), [("", ["avo.W004"]), ("short", ["avo.W004"]), ("x" * 16, [])])
def test_metrics_token(settings: Any, token: str, expected: list[str]) -> None:
    settings.METRICS_TOKEN = token
    assert ids(checks.metrics_have_a_token(None)) == expected


@pytest.mark.parametrize(
    ("proxies", "https", "forwarded_host", "expected"),
    [
        (0, True, False, ["avo.E004"]),
        (0, False, True, ["avo.E004"]),
        (1, False, False, ["avo.W005"]),
        (1, True, False, []),
        (0, False, False, []),
    ],
)
def test_proxies(settings: Any, proxies: int, https: bool, forwarded_host: bool, expected: list[str]) -> None:
    settings.THROTTLING = {**settings.THROTTLING, "NUM_PROXIES": proxies}
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if https else None
    settings.USE_X_FORWARDED_HOST = forwarded_host
    assert ids(checks.proxies_are_counted(None)) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis.example:6379", ["avo.W008", "avo.W009"]),
        ("redis://signals:sesame@redis.example:6379", ["avo.W008"]),
        ("rediss://redis.example:6379", ["avo.W009"]),
        ("rediss://signals:sesame@redis.example:6379", []),
        ("redis+sentinel://127.0.0.1:26379,redis.example:26379/main/0", ["avo.W008", "avo.W009"]),
        ("redis://127.0.0.1:6379", []),
        ("redis://localhost", []),
        ("unix:///run/redis/redis.sock", []),
    ],
)
def test_the_way_to_a_server(settings: Any, url: str, expected: list[str]) -> None:
    signals = {**settings.CACHES["signals"], "LOCATION": [url]}
    settings.CACHES = {**settings.CACHES, "signals": signals}
    found = [message for message in redis_checks.servers_are_reached_safely(None) if "signals" in message.msg]
    assert ids(found) == expected
    assert "sesame" not in repr(found)


@pytest.mark.parametrize(
    ("role", "info", "expected"),
    [
        ("signals", {"maxmemory_policy": "allkeys-lru"}, ["avo.E005"]),
        ("signals", {"maxmemory_policy": "volatile-ttl"}, ["avo.E005"]),
        ("outreach", {"maxmemory_policy": "allkeys-lfu"}, ["avo.E005"]),
        ("outreach", {"aof_enabled": 0}, ["avo.E006"]),
        ("signals", {"aof_enabled": 0, "maxmemory_policy": "allkeys-lru"}, ["avo.E005", "avo.E006"]),
        ("regime", {"maxmemory_policy": "allkeys-lru", "aof_enabled": 0}, ["avo.W006"]),
        ("regime", {"maxmemory_policy": "volatile-ttl", "aof_enabled": 0}, []),
        ("throttling", {"maxmemory_policy": "allkeys-random"}, ["avo.W006"]),
        ("throttling", {"aof_enabled": 0}, []),
        ("default", {"maxmemory_policy": "allkeys-lru", "aof_enabled": 0}, []),
        ("signals", {}, []),
        ("outreach", {}, []),
    ],
)
def test_what_a_server_keeps(
    monkeypatch: pytest.MonkeyPatch, role: str, info: dict[str, Any], expected: list[str]
) -> None:
    def facts(alias: str) -> ServerFacts:
        return summed([QUIET | info if alias == role else QUIET])

    monkeypatch.setattr(monitoring, "facts_of", facts)
    assert ids(redis_checks.servers_keep_what_must_be_kept(None)) == expected


def test_a_server_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def facts(alias: str) -> ServerFacts:
        if alias == "outreach":
            raise RedisConnectionError("gone")
        return summed([QUIET])

    monkeypatch.setattr(monitoring, "facts_of", facts)
    assert ids(redis_checks.servers_keep_what_must_be_kept(None)) == ["avo.W007"]


@pytest.mark.real_server
def test_a_real_server_is_asked(redis_of: Any) -> None:
    client = redis_of("signals")
    [before] = client.config_get("maxmemory-policy").values()
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = redis_checks.servers_keep_what_must_be_kept(None)
    finally:
        client.config_set("maxmemory-policy", before)
    # One server has all the roles here.
    assert {"avo.E005", "avo.W006"} <= set(ids(found))
    assert "avo.E005" not in ids(redis_checks.servers_keep_what_must_be_kept(None))


def test_they_run_with_deploy_and_not_without(redis_of: Any, settings: Any) -> None:
    settings.DEBUG = True
    assert "avo.E002" in ids(run_checks(include_deployment_checks=True))
    assert "avo.E002" not in ids(run_checks())


def test_every_finding_says_what_to_do(redis_of: Any, settings: Any) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS, settings.METRICS_TOKEN = True, ["*"], ""
    settings.USE_X_FORWARDED_HOST = True
    ours = [found for found in run_checks(include_deployment_checks=True) if str(found.id).startswith("avo.")]
    assert len(ours) >= 4
    assert all(found.hint and found.hint.endswith(".") for found in ours)

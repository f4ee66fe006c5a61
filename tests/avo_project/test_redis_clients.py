"""Redis roles: one alias, variable and pool each."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks import run_checks
from redis import Redis, RedisCluster
from redis.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.redis_client.clients import RoleConnectionFactory
from avo_project.redis_client.cluster import ClusterClient
from avo_project.redis_client.roles import ROLES, cache_settings
from avo_project.redis_client.urls import RedisUrlError

ALIASES = [role.alias for role in ROLES]


def url_of(settings: dict[str, Any], alias: str) -> str:
    return settings[alias]["LOCATION"][0]


def client_of(settings: dict[str, Any], alias: str) -> Any:
    return RoleConnectionFactory(settings[alias]["OPTIONS"]).connect(url_of(settings, alias))


def test_each_role_follows_its_own_variable_then_the_common_one(tmp_path: Path) -> None:
    environment = {"REDIS_URL": "redis://common", "SIGNALS_REDIS_URL": "redis://own:7000"}
    settings = cache_settings(environment, tmp_path)
    assert {alias: url_of(settings, alias) for alias in ALIASES} == {
        **dict.fromkeys(ALIASES, "redis://common"),
        "signals": "redis://own:7000",
    }


def test_without_any_url_every_role_shares_the_embedded_server(tmp_path: Path) -> None:
    settings = cache_settings({}, tmp_path)
    assert len({url_of(settings, alias) for alias in ALIASES}) == 1
    assert all(settings[alias]["OPTIONS"]["EMBEDDED_DATA_DIR"] == str(tmp_path) for alias in ALIASES)


def test_one_url_still_gives_every_role_a_pool_and_timeouts_of_its_own(tmp_path: Path) -> None:
    settings = cache_settings({"REDIS_URL": "redis://:pw@somewhere:6400/1"}, tmp_path)
    pools = [client_of(settings, alias).connection_pool for alias in ALIASES]
    assert len({id(pool) for pool in pools}) == len(ALIASES)
    for role, pool in zip(ROLES, pools, strict=True):
        assert pool.connection_kwargs["client_name"] == f"avo-{role.alias}"
        assert pool.connection_kwargs["socket_timeout"] == role.socket_timeout_seconds
        assert pool.connection_kwargs["db"] == 1
        assert pool.connection_kwargs["retry"]._retries == 0


def test_a_role_keeps_one_client_for_the_whole_process(tmp_path: Path) -> None:
    settings = cache_settings({"REDIS_URL": "redis://somewhere:6401"}, tmp_path)
    assert client_of(settings, "signals") is client_of(settings, "signals")


def test_a_password_with_a_comma_is_not_split_into_two_servers(tmp_path: Path) -> None:
    settings = cache_settings({"REDIS_URL": "redis://:a,b@somewhere:6402"}, tmp_path)
    assert client_of(settings, "regime").connection_pool.connection_kwargs["password"] == "a,b"


def test_sentinel_and_tls_urls_become_clients_without_a_connection(tmp_path: Path) -> None:
    settings = cache_settings(
        {"REGIME_REDIS_URL": "redis+sentinel://one:26379,two/avo/2", "SIGNALS_REDIS_URL": "rediss://tls:6390"}, tmp_path
    )
    sentinel = client_of(settings, "regime")
    assert isinstance(sentinel, Redis)
    assert sentinel.connection_pool.service_name == "avo"
    assert issubclass(client_of(settings, "signals").connection_pool.connection_class, SSLConnection)


def test_a_cluster_url_asks_for_a_cluster_client(tmp_path: Path) -> None:
    client = client_of(cache_settings({"REDIS_URL": "redis+cluster://:pw@one:7000,two:7001"}, tmp_path), "outreach")
    assert isinstance(client, RedisCluster)
    assert [(node.host, node.port) for node in client.options["startup_nodes"]] == [("one", 7000), ("two", 7001)]
    assert client.options["password"] == "pw"


def test_a_cluster_that_is_away_fails_like_a_server_that_is(tmp_path: Path) -> None:
    settings = cache_settings({"REDIS_URL": "redis+cluster://127.0.0.1:1"}, tmp_path)
    client = client_of(settings, "signals")
    client.register_script("return 1")
    for _ in range(2):
        with pytest.raises(RedisConnectionError, match="cannot be connected"):
            client.get("any")
    client.close()


class TestSlotMap:
    """After a failure the slot map is refreshed before the next command, at most once a second."""

    @pytest.fixture
    def client(self) -> Any:
        self.now, self.refreshes, self.failure = 100.0, 0, None
        client: Any = ClusterClient(monotonic=lambda: self.now, startup_nodes=[], connection_pool_class=dict)
        client.nodes_manager = self
        self.find = client._refreshed(lambda slot: slot)
        yield client
        del client.nodes_manager

    def initialize(self, disconnect_startup_nodes_pools: bool) -> None:
        self.refreshes += 1
        if self.failure is not None:
            raise self.failure

    def test_it_is_kept_without_a_failure(self, client: Any) -> None:
        assert self.find(5) == 5
        assert self.refreshes == 0

    def test_it_is_refreshed_once_a_second(self, client: Any) -> None:
        for at, refreshes in ((100.0, 1), (100.5, 1), (101.0, 2), (101.1, 2)):
            client.mark_stale()
            self.now = at
            assert self.find(5) == 5
            assert self.refreshes == refreshes
        self.now = 103.0
        self.find(5)
        self.find(5)
        assert self.refreshes == 3

    def test_the_known_one_is_used_while_no_node_answers(self, client: Any, caplog: pytest.LogCaptureFixture) -> None:
        self.failure = RedisConnectionError("no node answers")
        client.mark_stale()
        assert self.find(5) == 5
        assert "the known one is used: no node answers" in caplog.messages[0]
        self.failure, self.now = None, 102.0
        self.find(5)
        assert self.refreshes == 2


def test_an_unusable_url_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(RedisUrlError, match=r"^OUTREACH_REDIS_URL: cannot use 'redis://\*\*\*@host:x'"):
        cache_settings({"OUTREACH_REDIS_URL": "redis://:secret@host:x"}, tmp_path)


def test_an_unusable_url_stops_the_start_with_one_line() -> None:
    environment = {
        **os.environ,
        "REDIS_URL": "redis://:hunter2@host:port",
        "DJANGO_SETTINGS_MODULE": "avo_project.settings",
    }
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "REDIS_URL: cannot use 'redis://***@host:port': each server must be written host:port"
    ]


@pytest.mark.real_server
def test_the_live_clients_are_named_after_their_role(redis_of: Any) -> None:
    names = {
        connection["name"]
        for alias in ALIASES
        if redis_of(alias).ping()
        for connection in redis_of(alias).client_list()
    }
    assert {f"avo-{alias}" for alias in ALIASES} <= names


def test_nothing_is_pickled(redis_of: Any) -> None:
    caches["default"].set("answer", {"a": [1, None]})
    assert caches["default"].get("answer") == {"a": [1, None]}
    assert b'{"a":' in redis_of_raw("answer").replace(b" ", b"")


def redis_of_raw(key: str) -> bytes:
    return caches["default"].client.get_client().get(caches["default"].make_key(key))


def test_a_pickling_alias_fails_the_system_check(settings: Any) -> None:
    assert not [found for found in run_checks() if found.id == "avo.E001"]
    settings.CACHES = {
        **settings.CACHES,
        "sloppy": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://x", "OPTIONS": {}},
    }
    assert [found.id for found in run_checks(tags=["caches"])] == ["avo.E001"]

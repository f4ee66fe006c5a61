"""The connection pool of a role: circuit breaker, size and released connections."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import caches
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from avo_project.lib.circuit_breaker import CircuitBreaker
from avo_project.redis_client.circuit import Circuit, CircuitOpenError
from avo_project.redis_client.clients import RoleConnectionFactory
from avo_project.redis_client.persistent_connection import execute, execute_packed, pack
from avo_project.redis_client.pool import GuardedConnection, GuardedPool, GuardedSentinelPool, PoolExhaustedError
from avo_project.redis_client.roles import RedisRole
from tests.doubles import FixedClock
from tests.hanging_server import HangingServer


@pytest.fixture
def server() -> Iterator[HangingServer]:
    with HangingServer() as running:
        yield running


def client_of(url: str, max_connections: int = 64, seconds: float = 1.0) -> Any:
    role = RedisRole("regime", "-", socket_timeout_seconds=seconds, connect_timeout_seconds=seconds)
    return RoleConnectionFactory({"ROLE": role, "MAX_CONNECTIONS": max_connections}).connect(url)


@pytest.fixture
def client(server: HangingServer) -> Iterator[Any]:
    made = client_of(server.url)
    yield made
    made.close()


def circuit_of(client: Any) -> Circuit:
    circuit: Circuit = client.connection_pool.connection_kwargs["circuit"]
    return circuit


def end_the_rest(client: Any) -> None:
    """As if the second after the failure had passed."""
    circuit_of(client).breaker._next_probe_at = 0.0


def value_of(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"role": "regime", **labels}) or 0.0


CALLS: dict[str, Callable[[Any], Any]] = {
    "redis-py": lambda client: client.get("a"),
    "pipeline": lambda client: client.pipeline(transaction=False).get("a").execute(),
    "packed by hand": lambda client: execute(client, "a", ("GET", "a")),
    "with a blocking read": lambda client: execute_packed(client, pack("GET", "a"), 1, wait_seconds=0.01),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_after_one_time_out_nobody_asks_until_a_probe_succeeds(
    server: HangingServer, client: Any, call: Callable[[Any], Any]
) -> None:
    call(client)
    server.hang()
    with pytest.raises(RedisTimeoutError):
        call(client)
    before = len(server.received)
    for other in CALLS.values():
        with pytest.raises(CircuitOpenError, match="the Redis of the role regime is open: Timeout"):
            other(client)
    assert len(server.received) == before
    server.go_on()
    with pytest.raises(CircuitOpenError):
        call(client)
    end_the_rest(client)
    assert call(client) == call(client)


def test_a_server_that_hangs_from_the_start_opens_it_too(server: HangingServer, client: Any) -> None:
    server.hang()
    with pytest.raises(RedisTimeoutError):
        client.get("a")
    with pytest.raises(CircuitOpenError):
        client.get("a")


def test_a_server_that_cannot_be_connected_to_is_left_alone_too(server: HangingServer, client: Any) -> None:
    server.end()
    with pytest.raises(RedisConnectionError, match="refused"):
        client.get("a")
    with pytest.raises(CircuitOpenError, match="refused"):
        client.get("a")


def test_a_connection_that_the_server_closed_opens_nothing(server: HangingServer, client: Any) -> None:
    client.get("a")
    server.close_connections()
    assert client.get("a") == b"text"
    connection = client.connection_pool.get_connection()
    server.close_connections()
    connection.send_command("GET", "a")
    with pytest.raises(RedisConnectionError):
        connection.read_response()
    client.connection_pool.release(connection)
    assert client.get("a") == b"text"


def test_of_many_threads_one_probes(server: HangingServer, client: Any) -> None:
    server.hang()
    with pytest.raises(RedisTimeoutError):
        client.get("a")
    end_the_rest(client)
    before = len(server.received)
    together = threading.Barrier(8)

    def call(_: int) -> type[Exception]:
        together.wait()
        with pytest.raises((RedisConnectionError, RedisTimeoutError)) as failure:
            client.get("a")
        return type(failure.value)

    with ThreadPoolExecutor(8) as threads:
        failures = list(threads.map(call, range(8)))
    assert failures.count(RedisTimeoutError) == 1
    assert failures.count(CircuitOpenError) == 7
    assert len(server.received) == before + 1


def test_it_is_logged_and_counted_once_when_it_opens_and_when_it_closes(
    server: HangingServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    opened, rejected = (
        value_of("avo_redis_circuit_opened_total"),
        value_of("avo_redis_calls_rejected_total", reason="circuit-open"),
    )
    before = value_of("avo_redis_circuit_open")
    server.hang()
    for _ in range(2):
        with pytest.raises(RedisTimeoutError):
            client.get("a")
        for _ in range(3):
            with pytest.raises(CircuitOpenError):
                client.get("a")
        end_the_rest(client)
    assert value_of("avo_redis_circuit_open") == before + 1
    server.go_on()
    for _ in range(3):
        client.get("a")
    logged = [(record.levelno, record.getMessage()) for record in caplog.records if "circuit" in record.getMessage()]
    assert [level for level, _ in logged] == [logging.ERROR, logging.WARNING]
    assert all("role regime" in message for _, message in logged)
    assert value_of("avo_redis_circuit_opened_total") == opened + 1
    assert value_of("avo_redis_calls_rejected_total", reason="circuit-open") == rejected + 6
    assert value_of("avo_redis_circuit_open") == before


def test_a_late_answer_closes_it(clock: FixedClock) -> None:
    circuit = Circuit("regime", CircuitBreaker(), clock)
    circuit.failed(RedisTimeoutError("no answer"))
    circuit.answered()
    assert not circuit.admit()


@pytest.mark.parametrize(
    ("url", "pool_class"),
    [
        ("redis://somewhere:6501", GuardedPool),
        ("rediss://somewhere:6502", GuardedPool),
        ("unix:///somewhere/6503.sock", GuardedPool),
        ("redis+sentinel://somewhere:6504/avo", GuardedSentinelPool),
    ],
)
def test_every_kind_of_client_has_a_guarded_pool(url: str, pool_class: type) -> None:
    pool = client_of(url, max_connections=7).connection_pool
    assert type(pool) is pool_class
    assert issubclass(pool.connection_class, GuardedConnection)
    assert pool.max_connections == 7


@pytest.mark.real_server
def test_the_cache_alias_is_behind_the_same_circuit(redis_of: Any) -> None:
    circuit = circuit_of(redis_of("default"))
    circuit.failed(RedisTimeoutError("no answer"))
    try:
        with pytest.raises(CircuitOpenError):
            caches["default"].get("a")
    finally:
        circuit.answered()


def test_threads_share_fewer_connections_and_give_them_back(server: HangingServer) -> None:
    client = client_of(server.url, max_connections=3, seconds=10.0)
    with ThreadPoolExecutor(24) as threads:
        both = [*threads.map(lambda _: execute(client, "a", ("GET", "a")), range(200))]
        both += threads.map(lambda _: [client.get("a")], range(200))
    assert both == [[b"text"]] * 400
    pool = client.connection_pool
    assert (len(pool._in_use_connections), pool._created_connections) == (0, len(pool._available_connections))
    assert pool._created_connections <= 3


def test_one_that_finds_no_connection_in_time_is_told_so(server: HangingServer) -> None:
    client = client_of(server.url, max_connections=2)
    before = value_of("avo_redis_calls_rejected_total", reason="pool-exhausted")
    held = [client.connection_pool.get_connection() for _ in range(2)]
    with pytest.raises(PoolExhaustedError, match="All 2 connections of the role regime are in use"):
        client.get("a")
    assert value_of("avo_redis_calls_rejected_total", reason="pool-exhausted") == before + 1
    client.connection_pool.release(held.pop())
    assert client.get("a") == b"text"
    assert not circuit_of(client).breaker.is_open


def test_a_connection_that_fails_is_given_back_too(server: HangingServer) -> None:
    client = client_of(server.url, max_connections=1)
    for _ in range(3):
        server.hang()
        with pytest.raises(RedisTimeoutError):
            execute(client, "a", ("GET", "a"))
        server.go_on()
        end_the_rest(client)
        assert execute(client, "a", ("GET", "a")) == [b"text"]

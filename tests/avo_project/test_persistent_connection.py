import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from avo_project.redis_client import pool as redis_pool
from avo_project.redis_client.clients import RoleConnectionFactory
from avo_project.redis_client.persistent_connection import (
    ConnectionLostError,
    Pipeline,
    execute,
    execute_packed,
    pack,
    run_script,
)
from avo_project.redis_client.pool import GuardedPool
from avo_project.redis_client.roles import RedisRole
from tests.reply_thief import ReplyThief

FORKING = """
import os, sys
from redis import Redis
from avo_project.redis_client.persistent_connection import execute
client = Redis(unix_socket_path=sys.argv[1], protocol=2)
execute(client, "a", ("CLIENT", "SETNAME", "parent"))
def name():
    return execute(client, "a", ("CLIENT", "GETNAME"))[0] or "child"
print(name().decode(), flush=True)
if (child := os.fork()) == 0:
    print(name(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(name().decode())
"""


@pytest.fixture
def client(redis_of: Any) -> Any:
    return redis_of("signals")


@pytest.fixture
def own_client(client: Any) -> Iterator[Any]:
    """With a pool that nobody used yet."""
    settings = {**client.connection_pool.connection_kwargs, "client_name": "own"}
    connection_class = client.connection_pool.connection_class
    pool = GuardedPool(role="signals", wait_seconds=10.0, connection_class=connection_class, **settings)
    yield Redis(connection_pool=pool)
    pool.disconnect()


def connections_of(client: Any) -> set[int]:
    """The ids of its connections, as the server numbers them."""
    return {int(one["id"]) for one in client.client_list() if one["name"] == "own"}


def test_several_commands_are_answered_in_order(client: Any) -> None:
    assert execute(client, "a", ("SET", "a", 1), ("GET", "a")) == [b"OK", b"1"]
    assert execute(client, "a", ("ECHO", "é"), ("ECHO", b"\xff")) == ["é".encode(), b"\xff"]


def test_an_error_reply_is_returned_in_its_place(client: Any) -> None:
    packed = pack("SET", "a", 1) + pack("LPUSH", "a", 1) + pack("GET", "a")
    done, refused, read = execute_packed(client, packed, 3)
    assert (done, read) == (b"OK", b"1")
    assert isinstance(refused, ResponseError)


def test_an_error_among_the_replies_is_raised_and_no_reply_is_mistaken_for_the_next(client: Any) -> None:
    execute(client, "a", ("SET", "a", 1))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        execute(client, "a", ("LPUSH", "a", 1), ("SET", "a", 2))
    assert execute(client, "a", ("GET", "a")) == [b"2"]


def test_a_script_the_server_does_not_know_is_loaded(client: Any) -> None:
    script = client.register_script("return {KEYS[1], ARGV[1]}")
    client.script_flush()
    assert run_script(client, script, ["k"], ["v"]) == [b"k", b"v"]
    assert run_script(client, script, ["k"], ["w"]) == [b"k", b"w"]


def test_a_script_that_fails_half_way_is_not_run_again(client: Any) -> None:
    script = client.register_script("redis.call('INCR', KEYS[1]); return redis.call('LPUSH', KEYS[1], 1)")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        run_script(client, script, ["a"], [])
    assert client.get("a") == b"1"


@pytest.mark.real_server
def test_one_connection_does_for_one_thread(client: Any, own_client: Any) -> None:
    for _ in range(3):
        execute(own_client, "a", ("PING",))
        with Pipeline(own_client) as window:
            window.post(pack("PING"), 1)
            assert window.receive() == [b"PONG"]
    assert len(connections_of(client)) == 1


@pytest.mark.real_server
def test_threads_never_hear_each_others_replies(own_client: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        heard = pool.map(lambda number: [execute(own_client, "a", ("ECHO", number)) for _ in range(50)], range(4))
        assert list(heard) == [[[b"%d" % number]] * 50 for number in range(4)]


@pytest.mark.real_server
def test_a_rested_connection_that_the_server_closed_is_made_again(
    client: Any, own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_pool, "_TRUSTED_SECONDS", 0.0)
    execute(own_client, "a", ("PING",))
    [before] = connections_of(client)
    client.client_kill_filter(_id=before)
    execute(own_client, "a", ("PING",))
    [after] = connections_of(client)
    assert after != before


@pytest.mark.real_server
def test_one_closed_in_the_moment_since_its_last_use_is_an_error_once(
    client: Any, own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_pool, "_TRUSTED_SECONDS", 3_600.0)
    execute(own_client, "a", ("SET", "a", 1))
    client.client_kill_filter(_id=connections_of(client).pop())
    with pytest.raises(RedisConnectionError):
        execute(own_client, "a", ("INCR", "a"))
    assert execute(own_client, "a", ("GET", "a")) == [b"1"]


@pytest.mark.real_server
def test_a_fork_uses_no_connection_of_its_parent(client: Any) -> None:
    """Forked by a process that has no threads, for a fork of one with threads may hang."""
    path = client.connection_pool.connection_kwargs["path"]
    done = subprocess.run([sys.executable, "-c", FORKING, path], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["parent", "child", "parent"]


@pytest.mark.real_server
def test_after_a_lost_reply_nothing_is_sent_twice_and_the_next_call_connects_anew(client: Any, tmp_path: Path) -> None:
    client.ping()
    thief = ReplyThief(client.connection_pool.connection_kwargs["path"], tmp_path)
    with thief as robbed:
        execute(robbed, "a", ("INCR", "a"))
        thief.steal_from_now(1)
        with pytest.raises(RedisConnectionError):
            execute(robbed, "a", ("INCR", "a"))
        assert execute(robbed, "a", ("GET", "a")) == [b"2"]


@pytest.mark.real_server
def test_a_server_that_is_away_costs_the_pool_no_connection(client: Any, tmp_path: Path) -> None:
    client.ping()
    with ReplyThief(client.connection_pool.connection_kwargs["path"], tmp_path) as gone:
        execute(gone, "a", ("PING",))
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            execute(gone, "a", ("PING",))
    assert not gone.connection_pool._in_use_connections


def test_a_connection_reset_is_an_error_of_redis_and_the_next_call_connects_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as pool:
        connecting = RoleConnectionFactory({"ROLE": RedisRole("default", "-", socket_timeout_seconds=10)})
        client = connecting.connect(f"redis://127.0.0.1:{listening.getsockname()[1]}/0")
        for _ in range(2):
            reset = pool.submit(reset_after_greeting, listening)
            with pytest.raises(RedisConnectionError, match="reset"):
                execute(client, "a", ("PING",))
            reset.result()


def reset_after_greeting(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        while b"PING" not in (heard := connection.recv(4096)):
            connection.sendall(b"+OK\r\n" * heard.count(b"CLIENT\r\n"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN


@pytest.mark.real_server
def test_a_server_that_is_no_primary_any_more_is_left(client: Any) -> None:
    before = execute(client, "a", ("CLIENT", "ID"))
    with pytest.raises(ReadOnlyError):
        execute(client, "a", ("EVAL", "return redis.error_reply('READONLY a replica')", 0))
    assert execute(client, "a", ("CLIENT", "ID")) != before


@pytest.mark.real_server
def test_a_window_left_early_leaves_no_reply_behind(own_client: Any) -> None:
    with Pipeline(own_client) as window:
        window.post(pack("ECHO", "old"), 1)
        window.post(pack("ECHO", "older"), 1)
        assert len(window) == 2
    assert execute(own_client, "a", ("ECHO", "new")) == [b"new"]


@pytest.mark.real_server
def test_a_window_whose_server_is_no_primary_any_more_refuses_until_it_starts_over(client: Any) -> None:
    client.set("a", "old")
    with Pipeline(client) as window:
        window.post(pack("WATCH", "a") + pack("EVAL", "return redis.error_reply('READONLY a replica')", 0), 2)
        watched, refused = window.receive()
        assert (watched, type(refused)) == (b"OK", ReadOnlyError)
        with pytest.raises(ConnectionLostError):
            window.post(pack("MULTI") + pack("SET", "a", "new") + pack("EXEC"), 3)
        with pytest.raises(ConnectionLostError):
            window.receive()
        window.restart()
        window.post(pack("GET", "a"), 1)
        assert window.receive() == [b"old"]


@pytest.mark.real_server
def test_a_window_whose_connection_is_killed_loses_what_was_on_its_way(client: Any, own_client: Any) -> None:
    with Pipeline(own_client) as window:
        window.post(pack("PING"), 1)
        window.receive()
        window.post(pack("BLPOP", "nothing", 0), 1)
        window.post(pack("PING"), 1)
        client.client_kill_filter(_id=connections_of(client).pop())
        with pytest.raises(RedisConnectionError):
            window.receive()
        with pytest.raises(ConnectionLostError):
            window.receive()
        window.restart()
        window.post(pack("PING"), 1)
        assert window.receive() == [b"PONG"]

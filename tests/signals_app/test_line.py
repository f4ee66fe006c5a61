from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from signals_app import keys
from signals_app.store.line import Line
from tests.signals_app.reply_thief import ReplyThief


def test_several_commands_are_answered_in_order(redis_client: Any) -> None:
    line = Line(redis_client, keys.LIVE)
    assert line.ask(("SET", "a", 1), ("GET", "a")) == [b"OK", b"1"]
    assert line.ask(("ECHO", "é"), ("ECHO", b"\xff")) == ["é".encode(), b"\xff"]


def test_an_error_among_the_replies_is_raised_and_no_reply_is_mistaken_for_the_next(redis_client: Any) -> None:
    line = Line(redis_client, keys.LIVE)
    line.ask(("SET", "a", 1))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        line.ask(("LPUSH", "a", 1), ("SET", "a", 2))
    assert line.ask(("GET", "a")) == [b"2"]


def test_a_script_the_server_does_not_know_is_sent_in_full(redis_client: Any) -> None:
    line = Line(redis_client, keys.LIVE)
    script = redis_client.register_script("return {KEYS[1], ARGV[1]}")
    redis_client.script_flush()
    assert line.run(script, ["k"], ["v"]) == [b"k", b"v"]
    assert line.run(script, ["k"], ["w"]) == [b"k", b"w"]


@pytest.mark.real_server
def test_after_a_lost_reply_nothing_is_sent_twice_and_the_next_call_connects_anew(
    redis_client: Any, tmp_path: Path
) -> None:
    redis_client.ping()
    server = redis_client.connection_pool.connection_kwargs["path"]
    thief = ReplyThief(server, tmp_path)
    with thief as client:
        line = Line(client, keys.LIVE)
        line.ask(("INCR", "a"))
        thief.steal_from_now(1)
        with pytest.raises(RedisConnectionError):
            line.ask(("INCR", "a"))
        assert line.ask(("GET", "a")) == [b"2"]


@pytest.mark.real_server
def test_a_server_that_is_no_primary_any_more_is_left(redis_client: Any) -> None:
    line = Line(redis_client, keys.LIVE)
    before = line.ask(("CLIENT", "ID"))
    with pytest.raises(ReadOnlyError):
        line.ask(("EVAL", "return redis.error_reply('READONLY a replica')", 0))
    assert line.ask(("CLIENT", "ID")) != before


def test_a_connection_goes_back_to_its_pool(redis_client: Any) -> None:
    line = Line(redis_client, keys.LIVE)
    line.ask(("PING",))
    before = len(redis_client.connection_pool._available_connections)
    line.close()
    assert len(redis_client.connection_pool._available_connections) == before + 1
    line.close()

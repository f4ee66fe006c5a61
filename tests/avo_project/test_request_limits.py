"""Requests that the server passes to the views, and those that it rejects with which status."""

import asyncio
import functools
import gc
import inspect
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from avo_project.http import request_limits
from avo_project.http.request_limits import MAX_BODY_BYTES, MAX_FIELD_BYTES, RefusedError, check_head, read_body

# Keyed by what our own settings, files or publishers say: not by what an HTTP caller does.
_KEYED_BY_US = {
    "avo_project.redis_client.scripts.read_lua",
    "regime.domain.row_text._middles",
    "outreach.domain.sending_window._open_spans",  # by the windows that operators give inboxes
    "throttling.store.window_limiter._limits",
    "throttling.services.answers.policy_field",
    "throttling.domain.policies.conditional_allowance",
    "signals_app.domain.event.layout_of",
    "signals_app.domain.event._pattern",
}

CASES = json.loads((Path(__file__).parent / "data" / "request_heads.json").read_text())


def scope_of(case: dict[str, Any]) -> dict[str, Any]:
    headers = [
        (name.encode(), b"x" * value if isinstance(value, int) else value.encode()) for name, value in case["headers"]
    ]
    headers += [(b"x-%d" % number, b"1") for number in range(case.get("fields", 0))]
    return {"raw_path": b"/livez", "query_string": b"q" * case.get("query_bytes", 0), "headers": headers}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["what"]))
def test_a_head_is_let_through_or_refused(case: dict[str, Any]) -> None:
    if "status" in case:
        with pytest.raises(RefusedError) as refusal:
            check_head(scope_of(case))
        assert refusal.value.status == case["status"]
    else:
        assert check_head(scope_of(case)) == case["length"]


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """What an ASGI server would hand over, message by message; after the last one nothing comes any more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        return await asyncio.get_running_loop().create_future()

    return receive


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_put_together() -> None:
    assert asyncio.run(read_body(receiving(part(b"ab"), part(b"c"), part(b"", more=False)))) == b"abc"


def test_a_body_that_stalls_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.01)
    with pytest.raises(RefusedError) as refusal:
        asyncio.run(read_body(receiving(part(b"ab"))))
    assert refusal.value.status == 408


def test_a_chunked_body_without_end_is_refused_at_the_limit() -> None:
    half = b"x" * (MAX_BODY_BYTES // 2)
    with pytest.raises(RefusedError) as refusal:
        asyncio.run(read_body(receiving(part(half), part(half), part(b"x"), part(half))))
    assert refusal.value.status == 413


def test_half_a_body_is_never_used() -> None:
    with pytest.raises(RefusedError) as refusal:
        asyncio.run(read_body(receiving(part(b'{"a":1}'), {"type": "http.disconnect"})))
    assert refusal.value.status == 400


@pytest.mark.parametrize("field", ["X_FORWARDED_FOR", "COOKIE", "ACCEPT_ENCODING", "IF_NONE_MATCH", "X_ANYTHING"])
def test_a_field_that_is_too_long_is_refused(client: Any, field: str) -> None:
    answer = client.get("/livez", **{f"HTTP_{field}": "x" * (MAX_FIELD_BYTES + 1)})
    assert (answer.status_code, answer["Content-Type"]) == (431, "application/problem+json")
    assert field.replace("_", "-").lower() in answer.json()["detail"]
    assert answer["X-Request-ID"]


@pytest.mark.parametrize("field", ["X_FORWARDED_FOR", "IF_NONE_MATCH"])
def test_the_longest_field_is_read(client: Any, field: str) -> None:
    assert client.get("/livez", **{f"HTTP_{field}": "x" * MAX_FIELD_BYTES}).status_code == 200


@pytest.mark.django_db
def test_a_token_of_any_length_is_a_bad_token(client: Any) -> None:
    assert client.get("/api/signals", HTTP_AUTHORIZATION="Bearer " + "x" * 100_000).status_code == 401


def test_every_cache_of_ours_is_keyed_by_ourselves(client: Any) -> None:
    """A new one is looked at: could a caller choose its key?"""
    client.get("/livez")  # loads every app's routes
    # isinstance() would resolve the lazy objects that other tests left, and with them routes that are not there.
    caches = [one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper]
    named = [one for one in caches if hasattr(one, "__qualname__") and inspect.signature(one).parameters]
    names = {f"{one.__module__}.{one.__qualname__}" for one in named}
    apps = ("avo_project.", "regime.", "signals_app.", "outreach.", "throttling.")
    assert {name for name in names if name.startswith(apps)} <= _KEYED_BY_US

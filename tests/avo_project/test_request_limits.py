"""No header field is longer than anything of ours reads, and nothing is remembered by what a caller wrote."""

import functools
import gc
import inspect
from typing import Any

import pytest

from avo_project.request_limits import MAX_FIELD_BYTES

# Keyed by what our own settings, files or publishers say: not by what an HTTP caller does.
_KEYED_BY_US = {
    "avo_project.lua.read_lua",
    "regime.rules.row_text._middles",
    "throttling.store.window_limiter._limits",
    "throttling.roles.answers.policy_field",
    "signals_app.rules.event.layout_of",
    "signals_app.rules.event_batch._pattern",
}


@pytest.mark.parametrize("field", ["X_FORWARDED_FOR", "COOKIE", "ACCEPT_ENCODING", "IF_NONE_MATCH", "X_ANYTHING"])
def test_a_field_that_is_too_long_is_refused(client: Any, field: str) -> None:
    answer = client.get("/livez", **{f"HTTP_{field}": "x" * (MAX_FIELD_BYTES + 1)})
    assert (answer.status_code, answer["Content-Type"]) == (431, "application/problem+json")
    assert field.replace("_", "-").title() in answer.json()["detail"]
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
    caches = [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]
    named = [one for one in caches if hasattr(one, "__qualname__") and inspect.signature(one).parameters]
    names = {f"{one.__module__}.{one.__qualname__}" for one in named}
    apps = ("avo_project.", "regime.", "signals_app.", "outreach.", "throttling.")
    assert {name for name in names if name.startswith(apps)} <= _KEYED_BY_US

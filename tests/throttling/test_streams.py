"""What the limits are to the live feed: places by tier, and units for opening it and for its backlog."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from tests.throttling.clerk import token

pytestmark = [pytest.mark.real_server, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_of")]


@pytest.fixture(autouse=True)
def no_open_connection_is_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


def caller(user: str = "user_alice", **about: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user=user, **about)}"}


async def ask(headers: dict[str, str]) -> Any:
    return await AsyncClient().get("/api/signals/stream", headers=headers)


@asynccontextmanager
async def stream(headers: dict[str, str]) -> AsyncIterator[Any]:
    """An open stream, which ends with the context."""
    answer = await ask(headers)
    assert answer.status_code == 200, answer.content
    pieces = aiter(answer.streaming_content)
    assert await anext(pieces) == b": connected\n\n"
    try:
        yield answer
    finally:
        await pieces.aclose()


def units_left(headers: dict[str, str]) -> int:
    left: int = Client(headers=headers).get("/api/limits").json()["policies"][0]["remaining"]
    return left


def test_places_by_tier(with_clerk: Callable[..., None]) -> None:
    with_clerk(STREAMS="free=1;pro=2")

    async def come() -> None:
        async with stream(caller()) as first, stream(caller("user_bob", plan="u:pro")) as other:
            assert first.headers["RateLimit-Policy"] == '"minute";q=60;w=60, "streams";q=1;qu="concurrent-requests"'
            assert first.headers["RateLimit"].endswith(', "streams";r=0')
            assert other.headers["RateLimit"].endswith(', "streams";r=1')
            rejected = await ask(caller())
            assert (rejected.status_code, rejected.json()["type"]) == (429, "urn:avo:problem:too-many-streams")
            assert (rejected.json()["violated-policies"], rejected.json()["tier"]) == (["streams"], "free")
            assert 1 <= int(rejected.headers["Retry-After"]) <= 45
            assert rejected.headers["RateLimit"].endswith(', "streams";r=0')
        while (again := await ask(caller())).status_code == 429:  # the place is given back in a thread
            await asyncio.sleep(0.01)
        assert again.status_code == 200

    asyncio.run(come())


def test_a_rejected_stream_costs_nothing(with_clerk: Callable[..., None], settings: Any) -> None:
    with_clerk(STREAMS="free=1")

    async def come() -> None:
        async with stream(caller()):
            for _ in range(3):
                assert (await ask(caller())).status_code == 429
            settings.SIGNALS = settings.SIGNALS | {"FEED_CLIENTS": 0}
            full = await ask(caller("user_bob"))
            assert (full.status_code, full.json()["type"]) == (503, "urn:avo:problem:feed-full")

    asyncio.run(come())
    assert (units_left(caller()), units_left(caller("user_bob"))) == (59, 60)


def test_who_has_no_units_left_keeps_no_place(with_clerk: Callable[..., None]) -> None:
    with_clerk(RATES="free=1/min", STREAMS="free=2")

    async def come() -> None:
        async with stream(caller()):
            for _ in range(3):
                rejected = await ask(caller())
                assert rejected.json()["type"] == "urn:avo:problem:rate-limited"

    asyncio.run(come())


def test_other_rejections_are_charged_once(with_clerk: Callable[..., None]) -> None:
    async def come() -> int:
        return (await AsyncClient().get("/api/signals/stream?limit=x&min_confidence=7", headers=caller())).status_code  # type: ignore[no-any-return]

    assert asyncio.run(come()) == 400
    assert units_left(caller()) == 59

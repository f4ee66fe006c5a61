import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connections
from django.test import AsyncClient, Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from signals_app import keys
from signals_app.domain.entry import LAST, order
from signals_app.services.event_page import EventQuery
from signals_app.services.feed_access import UnlimitedAccess
from signals_app.services.live_feed import EventSource, LiveFeed, Subscription
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event, fields, go_back

pytestmark = pytest.mark.real_server


@pytest.fixture(autouse=True)
def no_open_connection_is_left() -> Iterator[None]:
    """asgiref keeps its thread, the thread its connection, and PostgreSQL a database that somebody is connected to."""
    yield
    asyncio.run(sync_to_async(connections.close_all)())


def without_comments(piece: bytes) -> list[str]:
    messages = piece.decode().removesuffix("\n\n").split("\n\n")
    return [f"{message}\n\n" for message in messages if not message.startswith(":")]


async def take(messages: AsyncIterator[bytes], number: int) -> list[str]:
    """So many messages that are no comments."""
    taken: list[str] = []
    async with asyncio.timeout(60):
        while len(taken) < number:
            taken += without_comments(await anext(messages))
    assert len(taken) == number
    return taken


@pytest.fixture
def source(stream: SignalStream) -> Callable[..., EventSource]:
    def build(last_id: str = "", **options: Any) -> EventSource:
        feed = LiveFeed(lambda: stream)
        return EventSource(
            feed, EventQuery(symbol=options.pop("symbol", "")), last_id, heartbeat_seconds=0.2, **options
        )

    return build


def test_entries_that_a_query_leaves_out_do_not_silence_the_stream(
    stream: SignalStream, source: Callable[..., EventSource]
) -> None:
    """A comment is due after a while without an event, and has the id from which the client resumes."""

    async def follow() -> list[str]:
        messages, got = source(symbol="AAPL").messages(), list[str]()
        publisher = asyncio.create_task(publish_others())
        async for piece in messages:
            got.append(piece.decode())
            if len(got) == 4:
                break
        publisher.cancel()
        await messages.aclose()
        return got

    async def publish_others() -> None:
        for batch in range(1, 1_000):
            stream.publish([event(batch, symbol="MSFT")], publisher="p", batch=batch)
            await asyncio.sleep(0.02)

    connected, *comments = asyncio.run(asyncio.wait_for(follow(), 20))
    assert connected == ": connected\n\n"
    ids = [comment.removeprefix(": heartbeat\nid: ").removesuffix("\n\n") for comment in comments]
    assert ids == sorted(set(ids), key=order)


def test_new_events_are_sent_as_they_come(stream: SignalStream, source: Callable[..., EventSource]) -> None:
    async def follow() -> list[str]:
        messages = source(symbol="AAPL").messages()
        assert await anext(messages) == b": connected\n\n"
        assert await anext(messages) == b": heartbeat\n\n"
        stream.publish([event(1), event(2, symbol="MSFT"), event(3)], publisher="p", batch=1)
        taken = await take(messages, 2)
        await messages.aclose()
        return taken

    first, second = asyncio.run(follow())
    ids = [entry.entry_id for entry in stream.between("-", "+", 10)]
    assert first.startswith(f"id: {ids[0]}\nevent: signal\ndata: {{")
    assert second.startswith(f"id: {ids[2]}\n")
    assert second.endswith("}\n\n")


def test_a_client_that_reconnects_resumes_at_its_id(stream: SignalStream, source: Callable[..., EventSource]) -> None:
    ids = stream.publish([event(number) for number in range(1_200)], publisher="p", batch=1).entry_ids

    async def follow() -> list[str]:
        messages = source(ids[99]).messages()
        taken = await take(messages, 1_100)
        stream.publish([event(9_999)], publisher="p", batch=2)
        taken += await take(messages, 1)
        await messages.aclose()
        return taken

    taken = asyncio.run(follow())
    sent = [message.split("\n")[0].removeprefix("id: ") for message in taken]
    assert sent[:-1] == ids[100:]
    assert len(set(sent)) == 1_101


def test_a_client_older_than_the_stream_gets_a_gap_event(redis_client: Any, source: Callable[..., EventSource]) -> None:
    redis_client.xadd(keys.LIVE, fields(1))

    async def follow() -> list[str]:
        return await take(source("5-0").messages(), 2)

    gap, signal = asyncio.run(follow())
    assert gap.startswith('event: gap\ndata: {"after":"5-0"')
    assert "event: signal" in signal


def test_a_slow_client_is_dropped_with_a_reason(stream: SignalStream) -> None:
    feed = LiveFeed(lambda: stream)

    async def follow() -> list[str]:
        messages = EventSource(feed, EventQuery(), "", heartbeat_seconds=0.2).messages()
        await anext(messages)
        await anext(messages)
        for batch in range(3):
            stream.publish([event(number) for number in range(500)], publisher="p", batch=batch + 1)
        while not any(one.has_overflowed for one in feed._subscriptions):  # it reads nothing meanwhile
            await asyncio.sleep(0.01)
        return [message async for piece in messages for message in without_comments(piece)]

    *signals, last = asyncio.run(follow())
    assert len([message for message in signals if "event: signal" in message]) == 1_000
    newest = signals[-1].partition("\n")[0]
    assert last.startswith(f"{newest}\nevent: dropped\ndata: {{")


def test_the_reader_ends_with_its_last_subscriber(stream: SignalStream) -> None:
    async def come_and_go() -> None:
        feed = LiveFeed(lambda: stream)
        one = Subscription(asyncio.get_running_loop())
        feed.subscribe(one)
        feed.unsubscribe(one)
        assert feed._ended.is_set()

    asyncio.run(come_and_go())


@pytest.mark.django_db
def test_under_wsgi_it_says_that_it_cannot_stream(redis_client: Any) -> None:
    answer = Client().get("/api/signals/stream")
    assert (answer.status_code, answer.headers["Content-Type"]) == (501, "application/problem+json")


@pytest.mark.django_db(transaction=True)
def test_anonymous_callers_and_bad_questions_are_refused_under_asgi(redis_client: Any, operator: Any) -> None:
    async def ask(path: str, **headers: str) -> tuple[int, Any]:
        answer = await AsyncClient().get(path, headers=headers)
        return answer.status_code, answer

    status, answer = asyncio.run(ask("/api/signals/stream"))
    assert (status, answer.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize("path", ["/api/signals/stream", "/api/signals/stream?limit=x"])
@pytest.mark.django_db(transaction=True)
def test_rejections_carry_the_limits_under_any_server(redis_of: Any, redis_client: Any, path: str) -> None:
    redis_of("throttling")

    async def ask() -> Any:
        return await AsyncClient().get(path)

    for answer, status in ((Client().get(path), 501), (asyncio.run(ask()), 401)):
        assert answer.status_code == status
        assert answer.headers["RateLimit-Policy"].startswith('"minute";q=')
        assert answer.headers["RateLimit"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/event-stream", 200), ("text/event-stream, */*;q=0.1", 200), ("*/*", 200), ("text/html", 406)],
)
def test_the_media_type_of_event_sources_is_accepted(
    redis_of: Any, reader: dict[str, str], accept: str, status: int
) -> None:
    redis_of("throttling")

    async def ask() -> Any:
        return await AsyncClient().get("/api/signals/stream", headers=reader | {"Accept": accept})

    answer = asyncio.run(ask())
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == ("text/event-stream" if status == 200 else "application/problem+json")


@pytest.mark.parametrize(
    ("method", "accept", "status"),
    [
        ("OPTIONS", "*/*", 200),
        ("OPTIONS", "application/json", 200),
        ("OPTIONS", "text/html", 406),
        ("POST", "*/*", 405),
        ("PUT", "text/event-stream", 405),
        ("DELETE", "text/event-stream", 405),
        ("GET", "application/json", 406),
    ],
)
def test_what_is_no_stream_is_json(
    redis_of: Any, reader: dict[str, str], method: str, accept: str, status: int
) -> None:
    redis_of("throttling")

    async def ask() -> Any:
        headers = reader | {"Accept": accept}
        return await AsyncClient().generic(method, "/api/signals/stream", b"{", "application/json", headers=headers)

    answer = asyncio.run(ask())
    media_type = "application/json" if status == 200 else "application/problem+json"
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, media_type)
    assert answer.json()["renders"] == ["text/event-stream"] if status == 200 else answer.json()["status"] == status


@pytest.mark.django_db(transaction=True)
def test_an_invalid_credential_is_reported_before_the_media_type(redis_of: Any, redis_client: Any) -> None:
    redis_of("throttling")
    headers = {"Authorization": "Token bad", "Accept": "text/html"}

    async def ask() -> Any:
        return await AsyncClient().get("/api/signals/stream", headers=headers)

    for answer in (Client().get("/api/signals/stream", headers=headers), asyncio.run(ask())):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:avo:problem:invalid-token")


def test_head_takes_no_place(redis_of: Any, reader: dict[str, str], settings: Any) -> None:
    redis_of("throttling")
    settings.SIGNALS = settings.SIGNALS | {"FEED_CLIENTS": 0}

    async def ask() -> Any:
        return await AsyncClient().head("/api/signals/stream", headers=reader)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "text/event-stream", b"")


def test_the_header_with_the_last_id_wins_over_the_query(
    redis_of: Any, reader: dict[str, str], stream: SignalStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that reconnects sends both: the address that it was given, and the id that it has reached."""
    redis_of("throttling")
    monkeypatch.setattr("signals_app.api.feed._feed", LiveFeed())
    ids = stream.publish([event(1), event(2)], publisher="p", batch=1).entry_ids

    async def first() -> str:
        headers = reader | {"Last-Event-ID": ids[0]}
        answer = await AsyncClient().get("/api/signals/stream?last_event_id=0-0", headers=headers)
        taken = await take(aiter(answer.streaming_content), 1)
        return taken[0]

    assert asyncio.run(first()).startswith(f"id: {ids[1]}\n")


@pytest.fixture
def reader(django_user_model: Any, transactional_db: None) -> dict[str, str]:
    """The headers of somebody who may read signals."""
    user = django_user_model.objects.create_user("reader")
    return {"Authorization": f"Token {Token.objects.create(user=user).key}"}


def test_a_full_feed_says_so_until_somebody_leaves(
    redis_of: Any, reader: dict[str, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_of("throttling")
    settings.SIGNALS = settings.SIGNALS | {"FEED_CLIENTS": 2}
    monkeypatch.setattr("signals_app.api.feed._feed", LiveFeed())

    async def come() -> Any:
        return await AsyncClient().get("/api/signals/stream", headers=reader)

    async def come_in() -> Any:
        while (answer := await come()).status_code == 503:
            await asyncio.sleep(0.01)
        return answer

    async def come_and_go() -> None:
        reading, never_read = await come(), await come()
        assert await anext(aiter(reading.streaming_content)) == b": connected\n\n"
        refused = await come()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
        assert refused.json()["type"] == "urn:avo:problem:feed-full"
        del reading
        other = await come_in()
        assert (await come()).status_code == 503
        del never_read, other
        await come_in()

    asyncio.run(come_and_go())


def test_from_the_very_first_entry_on_there_is_no_gap_before_a_trim(
    stream: SignalStream, redis_client: Any, source: Callable[..., EventSource]
) -> None:
    async def follow(last_id: str, number: int) -> list[str]:
        return await take(source(last_id).messages(), number)

    stream.publish([event(1), event(2)], publisher="p", batch=1)
    assert ["event: signal" in message for message in asyncio.run(follow("0-0", 2))] == [True, True]
    redis_client.xtrim(keys.LIVE, maxlen=1, approximate=False)
    assert asyncio.run(follow("0-0", 1))[0].startswith('event: gap\ndata: {"after":"0-0"')


@pytest.mark.parametrize("newest", ["deleted since", LAST])
def test_the_last_id_of_the_stream_is_a_place_to_wait_at(
    stream: SignalStream, redis_client: Any, source: Callable[..., EventSource], newest: str
) -> None:
    stream.publish([event(1)], publisher="p", batch=1)
    last_id = redis_client.xadd(keys.LIVE, fields(2), id=LAST if newest == LAST else "*").decode()
    if newest != LAST:
        redis_client.xdel(keys.LIVE, last_id)

    async def follow() -> list[bytes]:
        messages = source(last_id).messages()
        return [await anext(messages), await anext(messages)]

    assert asyncio.run(follow()) == [b": connected\n\n", b": heartbeat\n\n"]


@pytest.mark.parametrize("ahead", ["1900000000000-0", LAST])
@pytest.mark.parametrize("before", [0, 1])
def test_a_client_ahead_of_the_stream_goes_on_from_the_newest(
    stream: SignalStream, source: Callable[..., EventSource], ahead: str, before: int
) -> None:
    if before:
        stream.publish([event(1)], publisher="p", batch=1)
    newest = stream.last_id()

    async def follow() -> list[str]:
        messages = source(ahead).messages()
        taken = await take(messages, 1)
        stream.publish([event(2)], publisher="p", batch=2)
        return taken + await take(messages, 1)

    gap, signal = asyncio.run(follow())
    assert gap.startswith(f'id: {newest}\nevent: gap\ndata: {{"after":"{ahead}"')
    assert signal.startswith(f"id: {stream.last_id()}\nevent: signal\n")


def test_open_streams_go_on_after_the_stream_went_back(stream: SignalStream, redis_client: Any) -> None:
    """One client has had the entry that was removed, another comes before the reader sees that it went."""
    may_see = threading.Event()
    may_see.set()

    def connect() -> SignalStream:
        assert threading.current_thread().name != "live-feed" or may_see.wait(30)
        return stream

    feed = LiveFeed(connect)
    [kept] = stream.publish([event(1)], publisher="p", batch=1).entry_ids

    def come(last_id: str) -> AsyncIterator[bytes]:
        return EventSource(feed, EventQuery(), last_id, heartbeat_seconds=0.2).messages()

    async def follow() -> tuple[list[str], list[str]]:
        ahead = come(kept)
        assert [await anext(ahead), await anext(ahead)] == [b": connected\n\n", b": heartbeat\n\n"]
        redis_client.xadd(keys.LIVE, fields(2), id=LAST)
        first = await take(ahead, 1)
        may_see.clear()
        go_back(redis_client, kept)
        other = come(kept)
        assert [await anext(other), await anext(other)] == [b": connected\n\n", b": heartbeat\n\n"]
        stream.publish([event(3)], publisher="p", batch=2)
        may_see.set()
        first += await take(ahead, 1)
        stream.publish([event(4)], publisher="p", batch=3)
        return first + await take(ahead, 1), await take(other, 2)

    (impossible, gap, signal), others = asyncio.run(follow())
    _, third, fourth = [entry.entry_id for entry in stream.between("-", "+", 10)]
    assert impossible.startswith(f"id: {LAST}\nevent: signal\n")
    assert gap.startswith(f'id: {third}\nevent: gap\ndata: {{"after":"{LAST}"')
    assert [message.partition("\n")[0] for message in (signal, *others)] == [
        f"id: {fourth}", f"id: {third}", f"id: {fourth}",
    ]  # fmt: skip


def test_the_stream_ends_with_its_credential_and_resumes_by_id(
    stream: SignalStream, source: Callable[..., EventSource]
) -> None:
    now = [0.0]

    async def follow() -> tuple[list[str], str]:
        messages = source(valid_until=60.0, clock=lambda: now[0]).messages()
        assert [await anext(messages), await anext(messages)] == [b": connected\n\n", b": heartbeat\n\n"]
        stream.publish([event(1)], publisher="p", batch=1)
        taken = await take(messages, 1)
        now[0] = 60.0
        taken += [message async for piece in messages for message in without_comments(piece)]
        stream.publish([event(2)], publisher="p", batch=2)
        last_id = taken[-1].partition("\n")[0].removeprefix("id: ")
        return taken, (await take(source(last_id).messages(), 1))[0]

    (signal, end), resumed = asyncio.run(follow())
    first, second = [entry.entry_id for entry in stream.between("-", "+", 10)]
    assert signal.startswith(f"id: {first}\nevent: signal\n")
    assert end.startswith(
        f'id: {first}\nevent: reauthenticate\ndata: {{"last":"{first}","why":"the credential has expired'
    )
    assert resumed.startswith(f"id: {second}\n")


def test_a_stream_that_ends_before_its_first_event_has_an_id_to_resume_from(
    stream: SignalStream, source: Callable[..., EventSource]
) -> None:
    before = stream.publish([event(1)], publisher="p", batch=1).entry_ids[0]
    now = [0.0]

    async def follow() -> list[str]:
        messages = source(valid_until=60.0, clock=lambda: now[0]).messages()
        assert [await anext(messages), await anext(messages)] == [b": connected\n\n", b": heartbeat\n\n"]
        now[0] = 60.0
        return [message async for piece in messages for message in without_comments(piece)]

    assert asyncio.run(follow())[0].startswith(f"id: {before}\nevent: reauthenticate\n")


def test_a_backlog_ends_with_the_credential_too(stream: SignalStream, source: Callable[..., EventSource]) -> None:
    stream.publish([event(number) for number in range(501)], publisher="p", batch=1)
    now = [0.0]

    async def follow() -> list[str]:
        messages = source("0-0", valid_until=60.0, clock=lambda: now[0]).messages()
        await take(messages, 500)
        now[0] = 60.0
        return [message async for piece in messages for message in without_comments(piece)]

    assert ["event: reauthenticate" in message for message in asyncio.run(follow())] == [True]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, redis_of: Any) -> None:
    """Streams of the view check their credential at once."""
    redis_of("throttling")
    monkeypatch.setattr("signals_app.api.feed._feed", LiveFeed())
    monkeypatch.setattr("signals_app.api.feed.EventSource", partial(EventSource, heartbeat_seconds=0.05))


def ending(client: AsyncClient, happens: Callable[[], object], headers: dict[str, str] | None = None) -> list[str]:
    """The messages of a stream during which something happens."""

    async def follow() -> list[str]:
        answer = await client.get("/api/signals/stream", headers=headers)
        pieces = aiter(answer.streaming_content)
        assert await anext(pieces) == b": connected\n\n"
        await sync_to_async(happens)()
        return [message async for piece in pieces for message in without_comments(piece)]

    return asyncio.run(follow())


@pytest.mark.parametrize("change", ["key revoked", "account disabled", "works in the admin now"])
def test_a_stream_ends_when_its_key_would_be_refused(quick: None, reader: dict[str, str], change: str) -> None:
    def happens() -> None:
        if change == "key revoked":
            apps.get_model("throttling", "APIKey").objects.update(revoked_at=timezone.now())
        else:
            User.objects.update(**{"is_active": False} if change == "account disabled" else {"is_staff": True})

    assert ["event: reauthenticate" in message for message in ending(AsyncClient(), happens, reader)] == [True]


@pytest.mark.django_db(transaction=True)
def test_a_stream_ends_when_its_session_does(quick: None, operator_client: Any) -> None:
    client = AsyncClient()
    client.cookies = operator_client.cookies
    assert ["event: reauthenticate" in message for message in ending(client, operator_client.session.flush)] == [True]


def test_a_database_that_fails_ends_no_stream(
    quick: None, reader: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []

    def fail(*_: Any) -> None:
        failures.append(1)
        raise DatabaseError("locked")

    async def follow() -> bytes:
        answer = await AsyncClient().get("/api/signals/stream", headers=reader)
        pieces = aiter(answer.streaming_content)
        monkeypatch.setattr("signals_app.api.feed.FeedView.perform_authentication", fail)
        while len(failures) < 2:
            piece = await anext(pieces)
        return bytes(piece)

    assert asyncio.run(follow()) == b": heartbeat\n\n"


class RecordingAccess(UnlimitedAccess):
    """Returns configured answers and records the calls."""

    def __init__(self, waits: Sequence[float] = (), has_place: bool = True) -> None:
        self.waits, self.has_place = list(waits), has_place
        self.charged: list[int] = []
        self.released = threading.Event()

    def renew(self) -> bool:
        return self.has_place

    def charge(self, units: int) -> float:
        wait = self.waits.pop(0) if self.waits else 0.0
        if not wait:
            self.charged.append(units)
        return wait

    def release(self) -> None:
        assert not self.released.is_set()
        self.released.set()


def test_a_backlog_is_charged_by_its_size(stream: SignalStream, source: Callable[..., EventSource]) -> None:
    ids = stream.publish([event(number) for number in range(1_200)], publisher="p", batch=1).entry_ids
    whole, small = RecordingAccess(), RecordingAccess()

    async def follow(access: RecordingAccess, last_id: str, number: int) -> None:
        messages = source(last_id, access=access).messages()
        await take(messages, number)
        await messages.aclose()

    asyncio.run(follow(whole, "0-0", 1_200))
    asyncio.run(follow(small, ids[-400], 399))
    assert (whole.charged, small.charged) == ([1, 1], [])
    assert whole.released.wait(5)


def test_a_backlog_waits_for_units(stream: SignalStream, source: Callable[..., EventSource]) -> None:
    stream.publish([event(number) for number in range(600)], publisher="p", batch=1)
    access = RecordingAccess(waits=(0.01, 0.01))

    async def follow() -> list[bytes]:
        messages = source("0-0", access=access).messages()
        pieces = [await anext(messages) for _ in range(4)]
        await messages.aclose()
        return pieces

    pieces = asyncio.run(follow())
    assert pieces[:3] == [b": connected\n\n", *[b": waiting for units of the rate limit\n\n"] * 2]
    assert pieces[3].count(b"event: signal") == 500
    assert access.charged == [1]


def test_backlogs_are_read_in_turn(stream: SignalStream) -> None:
    """Six clients with a long backlog: none gets its third page before each has had its first."""
    stream.publish([event(number) for number in range(1_500)], publisher="p", batch=1)
    feed, pages = LiveFeed(lambda: stream), list[int]()

    async def follow(client: int) -> None:
        messages = EventSource(feed, EventQuery(), "0-0", heartbeat_seconds=0.2).messages()
        await anext(messages)
        for _ in range(3):
            await anext(messages)
            pages.append(client)
        await messages.aclose()

    async def all_of_them() -> None:
        await asyncio.gather(*(follow(client) for client in range(6)))

    asyncio.run(all_of_them())
    thirds = [place for place, client in enumerate(pages) if pages[:place].count(client) == 2]
    assert set(pages[: min(thirds)]) == set(range(6))


def test_a_stream_that_lost_its_place_is_dropped(source: Callable[..., EventSource]) -> None:
    now = [0.0]
    access = RecordingAccess(has_place=False)

    async def follow() -> list[str]:
        messages = source(access=access, clock=lambda: now[0]).messages()
        await anext(messages)
        await anext(messages)
        now[0] = 60.0
        return [message async for piece in messages for message in without_comments(piece)]

    assert ["event: dropped" in message for message in asyncio.run(follow())] == [True]
    assert access.released.wait(5)


def test_a_stream_that_nobody_reads_gives_its_place_back(source: Callable[..., EventSource]) -> None:
    access = RecordingAccess()
    unread = source(access=access)
    del unread
    gc.collect()
    assert access.released.wait(5)

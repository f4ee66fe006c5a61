"""Reads the figures of the stream and its groups out of Redis, in four round trips and some counting."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project.lua import read_lua
from signals_app import keys
from signals_app.rules.drain import drain_seconds
from signals_app.rules.entry_id import age_seconds, order
from signals_app.rules.lag import ConsumerFigures, GroupFigures, StreamFigures

_PAGE = 500


class FiguresReader:
    """Lag is counted exactly up to ``count_up_to`` entries; beyond that the server's estimate has to do."""

    def __init__(self, client: Any, *, count_up_to: int = 10_000) -> None:
        self._client = client
        self._count_up_to = count_up_to
        self._now = client.register_script(read_lua("signals_app", "now"))
        self._count_after = client.register_script(read_lua("signals_app", "count_after"))

    @classmethod
    def connect(cls, *, count_up_to: int = 10_000) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), count_up_to=count_up_to)

    def read(self) -> StreamFigures:
        """A stream that does not exist has no entries and no groups."""
        try:
            groups = self._client.xinfo_groups(keys.LIVE)
        except ResponseError as error:
            if "no such key" in str(error):
                return StreamFigures(keys.LIVE, 0, ())
            raise
        length, first, info = self._stream()
        newest = info["last-generated-id"].decode()
        now_ms = self._now(keys=[keys.LIVE])
        read = [self._group(group, length, first, newest, now_ms) for group in groups]
        return StreamFigures(keys.LIVE, length, read, info.get("entries-added"))

    def _stream(self) -> tuple[int, str, Mapping[str, Any]]:  # length, first id, information
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xlen(keys.LIVE).xrange(keys.LIVE, count=1).xinfo_stream(keys.LIVE)
            length, first, info = pipeline.execute()
        return length, _first_id(first), info

    def _group(self, group: Mapping[str, Any], length: int, first: str, newest: str, now_ms: int) -> GroupFigures:
        name, delivered = group["name"].decode(), group["last-delivered-id"].decode()
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xpending(keys.LIVE, name).xrange(keys.LIVE, f"({delivered}", count=1)
            pipeline.xinfo_consumers(keys.LIVE, name).hgetall(keys.heartbeats(name)).hget(keys.PACES, name)
            pending, undelivered, consumers, heartbeats, notes = pipeline.execute()
        lag, is_exact = self._lag(group, delivered, length, first, newest)
        read, held = 0 if delivered == "0-0" else group.get("entries-read"), pending["pending"]
        return GroupFigures(
            name=name,
            pending=held,
            lag=lag,
            lag_exact=is_exact,
            oldest_pending_seconds=_age_seconds(pending["min"], now_ms),
            oldest_undelivered_seconds=_age_seconds(_first_id(undelivered), now_ms),
            drain_seconds=drain_seconds(
                (notes or b"").decode(),
                handled=None if read is None else read - held,
                waiting=None if lag is None else lag + held,
                now_ms=now_ms,
            ),
            consumers=[_consumer(consumer, heartbeats, now_ms) for consumer in consumers],
        )

    def _lag(
        self, group: Mapping[str, Any], delivered: str, length: int, first: str, newest: str
    ) -> tuple[int | None, bool]:
        if not first or order(delivered) >= order(newest):
            return 0, True
        if order(delivered) < order(first):
            return length, True
        counted = self._counted_after(delivered)
        if counted <= self._count_up_to:
            return counted, True
        return group.get("lag"), False  # None where the server gave up knowing

    def _counted_after(self, entry_id: str) -> int:
        counted = 0
        while counted <= self._count_up_to:
            page, last = self._count_after(keys=[keys.LIVE], args=[entry_id, _PAGE])
            counted += page
            if page < _PAGE:
                break
            entry_id = last.decode()
        return counted


def _first_id(rows: Sequence[tuple[bytes, object]]) -> str:
    return rows[0][0].decode() if rows else ""


def _age_seconds(entry_id: bytes | str | None, now_ms: int) -> float | None:
    if not entry_id:
        return None
    return age_seconds(entry_id.decode() if isinstance(entry_id, bytes) else entry_id, now_ms)


def _consumer(row: Mapping[str, Any], heartbeats: Mapping[bytes, bytes], now_ms: int) -> ConsumerFigures:
    alive_until_ms = int(heartbeats.get(row["name"], b"0").partition(b" ")[0])
    return ConsumerFigures(
        name=row["name"].decode(errors="replace"),
        pending=row["pending"],
        idle_seconds=row["idle"] / 1000,
        alive=alive_until_ms > now_ms,
    )

"""The publisher adds events to the stream in batches, each exactly once even if its reply is lost; and the events of
NDJSON files, the input format of ``publish_signals``."""

import itertools
import logging
import math
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from json import JSONDecoder
from typing import BinaryIO, Self

import orjson
from redis.exceptions import RedisError

from avo_project.lib.ndjson import numbered_lines
from signals_app.conf import SignalsConf
from signals_app.domain.event import MAX_BYTES, OWN_FIELDS, BadEventError, Event, parse_fields
from signals_app.services.connection_loss import is_transient, reconnect_delay_seconds
from signals_app.store.stream import Published, SignalStream, StreamFullError

logger = logging.getLogger(__name__)

_TRIM_EVERY = 1_000


class Publisher:
    """Not thread-safe, because the batches of a publisher are numbered.

    ``pause(seconds)`` waits between attempts; ``retry_timeout_seconds`` limits retries while Redis is unavailable.
    """

    def __init__(
        self,
        stream: SignalStream,
        *,
        soft_cap: int,
        pause: Callable[[float], object],
        batch_size: int = 500,
        retry_timeout_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._soft_cap = soft_cap
        self._batch_size = batch_size
        self._retry_timeout_seconds = retry_timeout_seconds
        self._pause = pause
        self._clock = clock
        self._name = uuid.uuid4().hex
        self._batch = 0
        self._since_trim = 0
        self._is_ready = False

    @classmethod
    def connect(cls, pause: Callable[[float], object]) -> Self:
        """A publisher on the stream of the settings."""
        return cls(SignalStream.connect(), soft_cap=SignalsConf.load().soft_cap, pause=pause)

    def publish(self, events: Iterable[Event]) -> Iterator[list[str]]:
        """Publish batch by batch as the iterator is consumed; yields the entry ids of each batch, in order.

        Raises StreamFullError when no more events fit below the hard cap; the events before it are published. Raises
        RedisError when Redis is unavailable for longer than the retry timeout.
        """
        remaining = iter(events)
        while batch := list(itertools.islice(remaining, self._batch_size)):
            yield from self._publish_fitting(batch)

    def _publish_fitting(self, events: list[Event]) -> Iterator[list[str]]:
        size = len(events)
        while events:
            try:
                entry_ids = self.publish_batch(events[:size])
            except StreamFullError as full:
                size = min(full.room, size - 1)  # others publish too: retry with fewer
                if size <= 0:
                    raise
            else:
                yield entry_ids
                events = events[size:]

    def publish_batch(self, events: list[Event]) -> list[str]:
        """Publish all or none of the events, atomically. Raises as ``publish``."""
        self._batch += 1
        published = self._add_with_retries(events)
        self._trim_if_due(published)
        return published.entry_ids

    def _add(self, events: list[Event]) -> Published:
        if not self._is_ready:
            self._stream.make_default_group()
            self._is_ready = True
        try:
            return self._stream.publish(events, publisher=self._name, batch=self._batch)
        except StreamFullError:
            if self._stream.trim() == 0:
                raise
            return self._stream.publish(events, publisher=self._name, batch=self._batch)

    def _add_with_retries(self, events: list[Event]) -> Published:
        give_up_at = math.inf
        for attempts in itertools.count(1):
            try:
                return self._add(events)
            except RedisError as failure:
                now = self._clock()
                give_up_at = min(give_up_at, now + self._retry_timeout_seconds)
                if now >= give_up_at or not is_transient(failure):
                    raise
                logger.warning("Redis is unavailable, the batch is retried: %s", failure)
                self._pause(reconnect_delay_seconds(attempts))
        raise AssertionError

    def _trim_if_due(self, published: Published) -> None:
        self._since_trim += len(published.entry_ids)
        if published.length > self._soft_cap + _TRIM_EVERY and self._since_trim >= _TRIM_EVERY:
            self._since_trim = 0
            try:
                self._stream.trim()
            except RedisError as failure:  # the batch itself was added
                if not is_transient(failure):
                    raise
                logger.warning("the stream was not trimmed: %s", failure)


_READ_BYTES = 1 << 20
_BETWEEN = re.compile(r"[ \t\r\n,:]*")
_DECODER = JSONDecoder(parse_int=str, parse_float=str)  # values stay text: 5,000 digits are not parsed

Lines = Iterable[Sequence[bytes]]
"""Batches of lines, as many as are available at once."""


def lines_as_they_come(file: BinaryIO) -> Iterator[Sequence[bytes]]:
    """The whole lines of each read, so that a slow pipe is published without delay."""
    begun: list[bytes] = []
    while read := file.read1(_READ_BYTES):  # type: ignore[attr-defined]
        *lines, rest = read.split(b"\n")
        if lines:
            lines[0] = b"".join([*begun, lines[0]])
            begun.clear()
            yield lines
        begun.append(rest)
    yield [b"".join(begun)]


def parse_line(line: bytes) -> Event:
    """Parse one JSON object; unknown numbers and nested values keep their JSON text. Raises BadEventError."""
    if len(line) > MAX_BYTES:
        raise BadEventError("too-large", f"{len(line)} bytes, {MAX_BYTES} at most")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadEventError("not-json", str(error)) from None
    if not isinstance(value, dict):
        raise BadEventError("not-an-object", "a line must be one JSON object")
    if all(isinstance(value[name], str) for name in value.keys() - OWN_FIELDS):
        return parse_fields({name: _text(one) for name, one in value.items() if one is not None})
    try:
        return parse_fields(json_members(line.decode()))
    except RecursionError:
        raise BadEventError("too-deep", "a value is nested too deeply") from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def json_members(text: str) -> dict[str, str]:
    """The JSON text of each value by name; a string is unquoted, null is omitted. ``text`` must be a valid JSON object.
    Raises RecursionError when it is nested too deeply."""
    return dict(_members(text))


def _members(text: str) -> Iterator[tuple[str, str]]:
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        begin = _skip(text, at)
        value, end = _DECODER.raw_decode(text, begin)
        own = text[begin:end]
        if own != "null":
            yield name, value if own.startswith('"') else own
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


class SignalFile:
    """Publishes the events of a file: counts the ``published`` ones, reports and counts the ``bad`` lines.

    An event without ``published_at`` gets the time at which its line was read.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        on_bad_line: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.published = 0
        self.bad = 0
        self._lines = lines
        self._read = 0
        self._taken: deque[int] = deque()
        self._on_bad_line = on_bad_line
        self._clock = clock

    def publish(self, publisher: Publisher) -> None:
        """Publish all lines. Raises what the publisher raises; ``progress`` then describes what was published."""
        for lines in self._lines:
            for entry_ids in publisher.publish(self._events(lines)):
                self.published += len(entry_ids)
                for _ in entry_ids:
                    self._taken.popleft()
            self._read += len(lines)

    @property
    def next_line(self) -> int | None:
        """The first line that is not published yet, None when there is none."""
        return self._taken[0] if self._taken else None

    @property
    def progress(self) -> str:
        """For error messages: how much was published, and the line to continue from."""
        rest = f" Continue from line {self.next_line}." if self.next_line else ""
        return f"{self.published} were published before.{rest}"

    def _events(self, lines: Iterable[bytes]) -> Iterator[Event]:
        for number, line in numbered_lines(lines, self._read + 1):
            try:
                event = parse_line(line)
            except BadEventError as bad:
                self.bad += 1
                self._on_bad_line(f"line {number}: {bad}")
            else:
                self._taken.append(number)
                yield event if event.published_at_ms is not None else self._stamped(event)

    def _stamped(self, event: Event) -> Event:
        return event._replace(published_at_ms=int(self._clock() * 1000))

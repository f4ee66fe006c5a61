"""The publisher adds events to the stream in batches, each exactly once even if its reply is lost."""

import itertools
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from redis.exceptions import RedisError

from signals_app.conf import SignalsConf
from signals_app.domain.event import Event
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

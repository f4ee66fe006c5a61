"""How many live streams a subject may have open at a time, over all processes."""

import logging
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from throttling.store.stream_leases import LEASE_MS, Lease, StreamLeases

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One of the ``limit`` places of a subject, which a stream takes."""

    subject: str
    limit: int
    token: str = field(default_factory=lambda: secrets.token_hex(8))


class ConcurrencyLimiter:
    """A place is a lease in Redis, which its stream renews. While Redis does not answer, the streams of this process
    alone are counted."""

    def __init__(self, leases: StreamLeases) -> None:
        self._leases = leases
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def acquire(self, place: Place) -> Lease:
        """Takes the place, unless all are taken. Never raises."""
        try:
            lease = self._leases.hold(place.subject, place.token, place.limit)
        except RedisError as failure:
            logger.warning("live streams are counted in this process alone, since Redis does not answer: %s", failure)
            lease = None
        with self._lock:
            if lease is None:
                held = self._held[place.subject]
                lease = Lease(held < place.limit, min(held + 1, place.limit), LEASE_MS)
            if lease.held:
                self._held[place.subject] += 1
        return lease

    def renew(self, place: Place) -> bool:
        """Whether the stream still has its place: another one can get it while this process is stopped for longer than
        a lease."""
        try:
            return self._leases.hold(place.subject, place.token, place.limit).held
        except RedisError as failure:
            logger.warning("the lease of a live stream could not be renewed: %s", failure)
            return True

    def release(self, place: Place) -> None:
        with self._lock:
            self._held[place.subject] -= 1
            if self._held[place.subject] <= 0:
                del self._held[place.subject]
        try:
            self._leases.release(place.subject, place.token)
        except RedisError as failure:
            logger.warning("the place of a live stream is free in %s s: %s", LEASE_MS // 1000, failure)

"""Concurrent live streams per subject, limited over all processes by leases.

The stream's view finds this by the dotted path in ``settings.SIGNALS["FEED_ACCESS"]``.
"""

import logging
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from rest_framework.request import Request

from avo_project.http.problems import Problem
from throttling import conf
from throttling.domain.policies import whole_seconds
from throttling.services import process
from throttling.services.answers import STREAMS, Streams
from throttling.services.callers import Meta
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


class StreamAccess:
    """The place that one stream has. Every method may take as long as a call to Redis; none raises."""

    def __init__(self, place: Place, meta: Meta, user: Any) -> None:
        self._place, self._meta, self._user = place, meta, user

    def renew(self) -> bool:
        """Keeps the place; False when another stream has got it."""
        return process.streams().renew(self._place)

    def release(self) -> None:
        process.streams().release(self._place)

    def charge(self, units: int) -> float:
        """Charges ``units`` to the account; 0, or the seconds until that many may be there."""
        outcome = process.rate_limiter().charge(self._meta, self._user, units).outcome
        return 0.0 if outcome.allowed else float(outcome.retry_after_seconds)


def open_stream(request: Request) -> StreamAccess:
    """A place for the stream that ``request`` asks for. Raises Problem when its account uses all it may have: that is
    not charged."""
    rate_limiter = process.rate_limiter()
    quota = rate_limiter.quota(request.META, request.user)
    place = Place(quota.subject, conf.load().streams[quota.tier])
    lease = process.streams().acquire(place)
    request.META[STREAMS] = Streams(place.limit, lease.used)
    if lease.held:
        return StreamAccess(place, dict(request.META), request.user)
    rate_limiter.test(request.META, request.user, cost=0)  # so that it is told the limits, and not charged as unjudged
    seconds = max(1, whole_seconds(lease.first_ends_ms))
    raise Problem(
        429,
        "too-many-streams",
        f"All {place.limit} live streams of tier {quota.tier} are open. Close one, then try again.",
        members={"violated-policies": ["streams"], "tier": quota.tier},
        headers={"Retry-After": str(seconds)},
    )

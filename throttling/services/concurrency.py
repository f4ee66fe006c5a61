"""Limits the concurrent live streams of a subject, over all processes, by leases in Redis.

``settings.SIGNALS["FEED_ACCESS"]`` names ``open_stream`` by its dotted path.
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
from throttling.conf import ThrottlingConf
from throttling.domain.policies import whole_seconds
from throttling.services import process
from throttling.services.answers import STREAMS, Streams
from throttling.services.callers import Meta
from throttling.store.stream_leases import LEASE_MS, Lease, StreamLeases

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One of the ``limit`` stream slots of a subject, held by one stream."""

    subject: str
    limit: int
    token: str = field(default_factory=lambda: secrets.token_hex(8))


class ConcurrencyLimiter:
    """Acquires, renews and releases stream leases. While Redis does not answer, it counts only the streams of this
    process."""

    def __init__(self, leases: StreamLeases) -> None:
        self._leases = leases
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def acquire(self, place: Place) -> Lease:
        """Acquires the place if one is free. Never raises."""
        try:
            lease = self._leases.hold(place.subject, place.token, place.limit)
        except RedisError as failure:
            logger.warning("throttling Redis unavailable, counting the live streams of this process only: %s", failure)
            lease = None
        with self._lock:
            if lease is None:
                held = self._held[place.subject]
                lease = Lease(held < place.limit, min(held + 1, place.limit), LEASE_MS)
            if lease.held:
                self._held[place.subject] += 1
        return lease

    def renew(self, place: Place) -> bool:
        """Renews the lease. False when it expired and another stream took the place."""
        try:
            return self._leases.hold(place.subject, place.token, place.limit).held
        except RedisError as failure:
            logger.warning("cannot renew the lease of a live stream: %s", failure)
            return True

    def release(self, place: Place) -> None:
        with self._lock:
            self._held[place.subject] -= 1
            if self._held[place.subject] <= 0:
                del self._held[place.subject]
        try:
            self._leases.release(place.subject, place.token)
        except RedisError as failure:
            logger.warning("cannot release a live stream, its lease ends in %s s: %s", LEASE_MS // 1000, failure)


class StreamAccess:
    """The lease and the quota of one open stream. Every method makes a blocking Redis call; none raises."""

    def __init__(self, place: Place, meta: Meta, user: Any) -> None:
        self._place, self._meta, self._user = place, meta, user

    def renew(self) -> bool:
        """Renews the lease; False when another stream has taken the place."""
        return process.streams().renew(self._place)

    def release(self) -> None:
        process.streams().release(self._place)

    def charge(self, units: int) -> float:
        """Charges ``units`` to the quota. Returns 0, or the seconds to wait before trying again."""
        outcome = process.rate_limiter().charge(self._meta, self._user, units).outcome
        return 0.0 if outcome.allowed else float(outcome.retry_after_seconds)


def open_stream(request: Request) -> StreamAccess:
    """Opens the stream that ``request`` asks for. Raises Problem (429, not charged) when all places are in use."""
    rate_limiter = process.rate_limiter()
    quota = rate_limiter.quota(request.META, request.user)
    place = Place(quota.subject, ThrottlingConf.load().streams[quota.tier])
    lease = process.streams().acquire(place)
    request.META[STREAMS] = Streams(place.limit, lease.used)
    if lease.held:
        return StreamAccess(place, dict(request.META), request.user)
    rate_limiter.test(request.META, request.user, cost=0)  # sets the fields, and keeps the middleware from charging
    seconds = max(1, whole_seconds(lease.first_ends_ms))
    raise Problem(
        429,
        "too-many-streams",
        f"The limit of {place.limit} live streams of tier {quota.tier} is reached. Close one, then try again.",
        members={"violated-policies": ["streams"], "tier": quota.tier},
        headers={"Retry-After": str(seconds)},
    )

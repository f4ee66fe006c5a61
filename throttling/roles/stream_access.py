"""What the limits are to a live stream: a place among those of its account, and units for its backlog.

The stream's view finds this by the dotted path in ``settings.SIGNALS["FEED_ACCESS"]``.
"""

from typing import Any

from rest_framework.request import Request

from avo_project.problem_details import Problem
from throttling import conf
from throttling.roles import process
from throttling.roles.answers import STREAMS, Streams
from throttling.roles.concurrency import Place
from throttling.roles.toll import Meta
from throttling.rules.records import whole_seconds


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
        outcome = process.toll().charge(self._meta, self._user, units).outcome
        return 0.0 if outcome.allowed else float(outcome.retry_after_seconds)


def open_stream(request: Request) -> StreamAccess:
    """A place for the stream that ``request`` asks for. Raises Problem when its account uses all it may have: that is
    not charged."""
    toll = process.toll()
    quota = toll.quota(request.META, request.user)
    place = Place(quota.subject, conf.load().streams[quota.tier])
    lease = process.streams().acquire(place)
    request.META[STREAMS] = Streams(place.limit, lease.used)
    if lease.held:
        return StreamAccess(place, dict(request.META), request.user)
    toll.peek(request.META, request.user)  # so that it is told the limits, and not charged as unjudged
    seconds = max(1, whole_seconds(lease.first_ends_ms))
    raise Problem(
        429,
        "too-many-streams",
        f"All {place.limit} live streams of tier {quota.tier} are open. Close one, then try again.",
        members={"violated-policies": ["streams"], "tier": quota.tier},
        headers={"Retry-After": str(seconds)},
    )

"""Records of a reservation: who leases what, what arrives, and the outcome of one attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_DETAIL_CHARACTERS = 500
Kind = Literal["sent", "retry", "suppress", "pause", "give_up", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer.

    ``sent``: the server took it. ``retry``: not now. ``suppress``: this recipient never. ``pause``: nothing more
    from this inbox until a person looks. ``give_up``: not this touch. ``unknown``: it may have left.
    ``code`` is the server's three digits (SMTP or HTTP), 0 when it gave none; ``is_inbox_failure`` counts for the
    circuit breaker. Whatever a server says, ``code`` and ``detail`` can be written down: what no database takes is
    replaced.
    """

    kind: Kind
    code: int = 0
    detail: str = ""
    retry_after_seconds: float | None = None
    is_inbox_failure: bool = False

    def __post_init__(self) -> None:
        detail = self.detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode().replace("\0", "?")
        object.__setattr__(self, "detail", detail)
        object.__setattr__(self, "code", self.code if 0 <= self.code <= 999 else 0)


SENT = Outcome("sent")


@dataclass(frozen=True, slots=True)
class LeaseOwner:
    """Who works, and for how long the touches in his hands are his alone unless he renews the lease."""

    worker: str
    lease_seconds: float

    @property
    def lease_ms(self) -> int:
        return round(self.lease_seconds * 1000)


@dataclass(frozen=True, slots=True)
class EnqueueBatch:
    """Touches of one inbox: ``touch_ids`` may go at once, those of ``delayed`` (id, due_ms) when they are due."""

    inbox_id: int
    touch_ids: Sequence[str] = ()
    delayed: Sequence[tuple[str, int]] = ()

    @property
    def size(self) -> int:
        return len(self.touch_ids) + len(self.delayed)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A touch in a worker's hands. Whoever writes about it shows ``token``; a later reservation has a higher one."""

    touch_id: str
    inbox_id: int
    token: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a reservation ends in the queue.

    ``due_ms`` None: the touch leaves the queue; else it waits until then (0: first in its lane).
    ``sent_ago_ms`` None: nothing was handed to a server, so it costs the inbox nothing; else how long ago that was.
    """

    reservation: Reservation
    due_ms: int | None = None
    sent_ago_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A touch ready to be handed to a sender. ``sender_address`` and ``url`` are its inbox's."""

    reservation: Reservation
    channel: str
    sender_address: str
    url: str
    recipient: str
    subject: str
    body: str
    tries: int
    started_at: float
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def touch_id(self) -> str:
        return self.reservation.touch_id


@dataclass(frozen=True, slots=True)
class SendResult:
    """A touch with what became of it, at ``finished_at`` (Unix seconds)."""

    outgoing: Outgoing
    outcome: Outcome
    finished_at: float


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a worker may send now, how the rest of its reservations ends, and how many of those were suppressed."""

    outgoing: tuple[Outgoing, ...]
    refused: tuple[Settlement, ...]
    suppressed: int


@dataclass(frozen=True, slots=True)
class SettledTouch:
    """A result in the ledger: the touch's new state and how its reservation ends."""

    status: str
    settlement: Settlement

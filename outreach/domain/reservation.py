"""Records of the delivery of a touch: enqueued, reserved, claimed, attempted, settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from outreach.domain.mail_parts import MailParts

MAX_DETAIL_CHARACTERS = 500
HANDED_OVER = ("sent", "unknown")
Kind = Literal["sent", "retry", "hold", "suppress", "pause", "give_up", "unknown"]
HoldReason = Literal["quota", "throttle", "reputation", "server"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    ``sent``: the server accepted it. ``retry``: a temporary failure. ``hold``: the inbox's lane is held, for the reason
    ``hold``. ``suppress``: the recipient is rejected for good. ``pause``: the inbox is rejected and pauses.
    ``give_up``: this touch is rejected. ``unknown``: it may have been delivered. ``code`` is the server's reply code
    (SMTP or HTTP) or 0, ``reply_class`` its ``reply_rules.ReplyClass`` or empty; ``is_inbox_failure`` counts towards a
    hold of the lane. ``code`` and ``detail`` are cleaned so that every database can store them.
    """

    kind: Kind
    code: int = 0
    detail: str = ""
    retry_after_seconds: float | None = None
    is_inbox_failure: bool = False
    reply_class: str = ""
    hold: HoldReason | None = None

    @property
    def is_handed_over(self) -> bool:
        """Whether the server has the message, or may have it: then limits count it."""
        return self.kind in HANDED_OVER

    @property
    def is_refused(self) -> bool:
        """Whether it may have paused the inbox."""
        return self.kind in {"suppress", "give_up", "pause"}

    @property
    def log_detail(self) -> str:
        """``detail`` in one line."""
        return " ".join(self.detail.split())

    @property
    def is_inbox_refused(self) -> bool:
        """Whether the inbox was refused, not the touch, which then keeps its tries."""
        return self.kind in {"pause", "hold"}

    def __post_init__(self) -> None:
        detail = self.detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode().replace("\0", "?")
        object.__setattr__(self, "detail", detail)
        object.__setattr__(self, "code", self.code if 0 <= self.code <= 999 else 0)


SENT = Outcome("sent")
BEHIND = -1


@dataclass(frozen=True, slots=True)
class LeaseOwner:
    """A worker, and how long its leases last unless renewed."""

    worker: str
    lease_seconds: float

    @property
    def lease_ms(self) -> int:
        return round(self.lease_seconds * 1000)


@dataclass(frozen=True, slots=True)
class EnqueueBatch:
    """Touches of one inbox to enqueue: ``touch_ids`` are due now, those of ``delayed`` (id, due_ms) later."""

    inbox_id: int
    touch_ids: Sequence[str] = ()
    delayed: Sequence[tuple[str, int]] = ()

    @property
    def size(self) -> int:
        return len(self.touch_ids) + len(self.delayed)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A touch leased to a worker. ``token`` fences writes about it: each later reservation has a higher one."""

    touch_id: str
    inbox_id: int
    token: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a reservation ends in the queue.

    ``due_ms``: when the touch is due again (0: now, ahead of its lane; BEHIND: after all others of its lane); None
    removes it from the queue. ``sent_ago_ms``: how long ago it was handed over; None if it was not, and then no limit
    counts it.
    """

    reservation: Reservation
    due_ms: int | None = None
    sent_ago_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A touch for a sender. ``sender_address`` and ``url`` are those of its inbox."""

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
    mail: MailParts = field(default_factory=MailParts)

    @property
    def touch_id(self) -> str:
        return self.reservation.touch_id


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome of a touch's attempt, at ``finished_at`` (Unix seconds)."""

    outgoing: Outgoing
    outcome: Outcome
    finished_at: float


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The touches a worker may send, how its other reservations end, and how many of those were suppressed."""

    outgoing: tuple[Outgoing, ...]
    refused: tuple[Settlement, ...]
    suppressed: int


@dataclass(frozen=True, slots=True)
class SettledTouch:
    """The new state of a touch in the ledger, and how its reservation ends."""

    status: str
    settlement: Settlement

"""What became of one try to send: the six answers a sender may give."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["sent", "retry", "suppress", "pause", "give_up", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer.

    ``sent``: the server took it. ``retry``: not now. ``suppress``: this recipient never. ``pause``: nothing more
    from this inbox until a person looks. ``give_up``: not this touch. ``unknown``: it may have left.
    ``code`` is the server's (SMTP or HTTP), 0 when it gave none; ``is_inbox_failure`` counts for the circuit breaker.
    """

    kind: Kind
    code: int = 0
    detail: str = ""
    retry_after_seconds: float | None = None
    is_inbox_failure: bool = False


SENT = Outcome("sent")

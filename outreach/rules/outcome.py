"""What became of one try to send: the six answers a sender may give."""

from dataclasses import dataclass
from typing import Literal

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

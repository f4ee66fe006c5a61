"""A delivery: one event handed to one consumer, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0


class Delivery(NamedTuple):
    """``deliveries`` counts this one too; ``fields`` are the raw bytes of the entry, field, value, field, value … A
    tuple, because it is fast."""

    entry_id: str
    fields: Sequence[bytes]
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class MoveToDeadLetters:
    """Verdict: give the delivery up, with a reason for the dead letters."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeliverAgain:
    """Verdict: deliver it again to the same consumer after so long."""

    after_seconds: float


def too_often(deliveries: int, max_deliveries: int) -> MoveToDeadLetters | None:
    """The verdict on a delivery before its handler runs: an entry that kills its consumer is counted as well."""
    if deliveries <= max_deliveries:
        return None
    return MoveToDeadLetters(f"too-many-deliveries: delivered {deliveries} times, {max_deliveries} at most")


def retry_after_seconds(deliveries: int) -> float:
    """Doubles with every delivery: 0.5 s, 1 s, 2 s … up to a minute."""
    return float(min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(deliveries - 1, 16)))

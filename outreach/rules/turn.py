"""Which lanes a worker asks for next, and how much of each."""

from collections.abc import Sequence
from dataclasses import dataclass

_SPARE = 8  # a lane may have been emptied, or its room used, by another worker meanwhile


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of ``Lanes.reserve``: the inbox ids it names, and at most how many touches it takes of one."""

    inbox_ids: tuple[int, ...]
    most_of_one: int


def next_turn(due: Sequence[int], wanted: int, most_of_one: int = 1) -> Turn:
    """Names hardly more of the ``due`` lanes than ``wanted`` touches need, because one that is named costs nearly as
    much as one that is used; when there are few, more is taken of each."""
    named = tuple(due[: lanes_for(wanted, most_of_one)])
    return Turn(named, max(most_of_one, -(-wanted // max(1, len(named)))))


def lanes_for(wanted: int, most_of_one: int = 1) -> int:
    """How many lanes are worth naming to get ``wanted`` touches."""
    return _SPARE - (-wanted // most_of_one)

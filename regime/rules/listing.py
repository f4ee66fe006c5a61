"""What is asked of the universe and what it answers: one page of rows in a chosen order."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["score", "-score", "symbol"]
Positions = NDArray[np.intp]

_FALLING = np.int32  # a number of another kind, searched for, would have all of them converted


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the universe.

    ``regime`` None stands for each symbol's dominant one; ``symbols`` are separated by commas, None for all;
    ``max_data_age`` is in seconds, None for data of any age and for states that do not tell it.
    """

    timeframe: str = "1mo"
    regime: str | None = None
    min_score: float | None = None
    symbols: bytes | None = None
    order: Order = "symbol"
    limit: int = 50
    max_data_age: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: after this symbol, with this packed score."""

    score: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Page:
    """``count`` is how many match on all pages; ``rows`` is JSON, separated by commas; ``ended_at`` is None on the last
    page."""

    count: int
    rows: bytes
    ended_at: Place | None


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Positions by falling score, equals by symbol; ``falling`` holds the negated packed scores. (n,) each."""

    positions: Positions
    falling: NDArray[np.int32]

    @classmethod
    def of(cls, positions: Positions, scores: NDArray[np.uint16]) -> "Ranking":
        """Ranks ``positions``, which rise, by their packed ``scores``."""
        falling = -scores.astype(_FALLING)
        order = np.argsort(falling, kind="stable")
        return cls(positions[order], falling[order])

    def at_least(self, least: int) -> "Ranking":
        """Those with at least the packed score ``least``."""
        end = np.searchsorted(self.falling, _FALLING(-least), side="right")
        return Ranking(self.positions[:end], self.falling[:end])

    def only(self, chosen: NDArray[np.bool_]) -> "Ranking":
        return Ranking(self.positions[chosen], self.falling[chosen])

    def up_to(self, score: int, bound: int) -> int:
        """How many rank before a state of packed ``score`` at the position ``bound``."""
        low, high = np.searchsorted(self.falling, np.array([-score, -score + 1], dtype=_FALLING))
        return int(low + np.searchsorted(self.positions[low:high], self.positions.dtype.type(bound)))

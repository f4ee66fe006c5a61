"""The changes of dominant regime in a history of closes, day by day."""

from collections.abc import Iterator
from datetime import date

from regime.domain.prices import Closes
from regime.domain.state import REGIMES, TIMEFRAMES, dominant_regimes
from regime.services.cycle import states_of_closes
from regime.services.transitions import Change

DominantByName = dict[str, tuple[str, float]]  # symbol -> its dominant regime, the score of that


def changes_by_day(closes: Closes, timeframe: str, days: int) -> Iterator[tuple[date, Change]]:
    """Those of the last ``days`` days, in the order of days and symbols. Each day is scored when it is reached."""
    before: DominantByName = {}
    for day in closes.days[-days - 1 :]:
        dominants = _dominants(closes.up_to(day), TIMEFRAMES.index(timeframe))
        for symbol, (regime, score) in sorted(dominants.items()):
            if symbol in before and before[symbol][0] != regime:
                yield day, (symbol, regime, score)
        before = dominants


def _dominants(closes: Closes, index: int) -> DominantByName:
    found: DominantByName = {}
    for state in states_of_closes(closes, computed_at=0.0):
        regime = dominant_regimes(state.scores)[index]
        score = None if regime is None else state.scores[index * len(REGIMES) + regime]
        if regime is not None and score is not None:
            found[state.symbol] = (REGIMES[regime], score)
    return found

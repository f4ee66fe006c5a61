"""From closes to the states of one cycle."""

from collections.abc import Iterator

import numpy as np

from regime.rules.prices import Closes
from regime.rules.scoring import scores_of_closes
from regime.rules.state import RegimeState

_DECIMALS = 4


def states_of_closes(closes: Closes, computed_at: float) -> Iterator[RegimeState]:
    """A state for each symbol with enough history for a score; ``computed_at`` in Unix seconds."""
    all_scores = scores_of_closes(closes.table).round(_DECIMALS)
    for symbol, last_day, scores in zip(closes.symbols, closes.last_days(), all_scores, strict=True):
        known = ~np.isnan(scores)
        if known.any():
            values = tuple(value if is_known else None for value, is_known in zip(scores.tolist(), known, strict=True))
            yield RegimeState(symbol, computed_at, values, b"" if last_day is None else last_day.isoformat().encode())

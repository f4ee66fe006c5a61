from datetime import date
from itertools import islice

import numpy as np

from regime.domain.prices import Closes, read_euro_pairs
from regime.domain.state import REGIMES, TIMEFRAMES, dominant_regimes
from regime.services.cycle import states_of_closes
from regime.services.transitions import changes_by_day


def test_a_change_is_what_the_cycles_of_two_days_differ_in() -> None:
    closes = read_euro_pairs()
    day, before = closes.days[-1], closes.days[-2]
    found = {symbol: regime for of_day, (symbol, regime, _) in changes_by_day(closes, "1mo", 1) if of_day == day}
    then, now = dominants(closes.up_to(before)), dominants(closes)
    assert found == {symbol: regime for symbol, regime in now.items() if then[symbol] != regime}
    assert found


def test_the_last_days_have_a_few_changes_each_with_the_score_of_the_new_regime() -> None:
    found = list(islice(changes_by_day(read_euro_pairs(), "1mo", 250), 8))
    assert [day for day, _ in found] == sorted(day for day, _ in found)
    assert all(symbol.startswith("EUR") and symbol.endswith("=X") for _, (symbol, _, _) in found)
    assert all(regime in REGIMES and 0 < score <= 1 for _, (_, regime, score) in found)


def test_a_history_of_one_day_changes_nothing() -> None:
    closes = Closes(("A",), (date(2026, 1, 1),), np.ones((1, 1)))
    assert list(changes_by_day(closes, "1mo", 250)) == []


def dominants(closes: Closes) -> dict[str, str]:
    index = TIMEFRAMES.index("1mo")
    indexes = {state.symbol: dominant_regimes(state.scores)[index] for state in states_of_closes(closes, 0.0)}
    return {symbol: REGIMES[index] for symbol, index in indexes.items() if index is not None}

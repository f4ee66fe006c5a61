"""The answer about one symbol."""

from hashlib import blake2b

from avo_project.json_bytes import dump_json
from regime.roles.representation import Representation, Tag
from regime.rules.data_through import data_through_value
from regime.rules.freshness import Judgement
from regime.rules.state import REGIMES, TIMEFRAMES, StoredState, dominant_regimes

_STARTS = tuple((timeframe, place * len(REGIMES)) for place, timeframe in enumerate(TIMEFRAMES))


def state_answer(state: StoredState, verdict: Judgement) -> Representation:
    """What ``GET /api/intelligence/regime/<symbol>`` says of a current state."""
    dominants = dominant_regimes(state.scores)
    age_seconds = int(verdict.age_seconds or 0)
    fields = {
        "symbol": state.symbol,
        "computed_at": plain(verdict.computed_at),
        "age_seconds": age_seconds,
        "expires_at": plain(verdict.expires_at),
        "data_through": data_through_value(state.data_through),
        "scores": {
            timeframe: dict(zip(REGIMES, state.scores[start : start + len(REGIMES)], strict=True))
            for timeframe, start in _STARTS
        },
        "dominant": {
            timeframe: None if place is None else REGIMES[place]
            for timeframe, place in zip(TIMEFRAMES, dominants, strict=True)
        },
    }
    said = repr((state.scores, verdict.computed_at, verdict.expires_at, state.data_through)).encode()
    return Representation(dump_json(fields), Tag(blake2b(said, digest_size=9).hexdigest(), age_seconds))


def plain(seconds: float | None) -> int | float | None:
    """Whole seconds without a fraction, as they are written in Redis."""
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds

"""Bytes of the API's answers about states, the collection and macro series, with their entity tags."""

from collections.abc import Hashable
from hashlib import blake2b

import orjson

from avo_project.http.json import dump_json
from avo_project.lib.bounded_dict import BoundedDict
from regime.domain.cursor import Cursor, encode_cursor, question_of
from regime.domain.data_through import data_through_value
from regime.domain.freshness import Judgement
from regime.domain.state import REGIMES, TIMEFRAMES, StoredState, dominant_regimes
from regime.domain.universe import PagePosition, Query, Universe
from regime.services.collection import Version
from regime.services.representation import Representation, Tag

_MOST_CACHED = 64


class CollectionAnswers:
    """Makes each answer once a second at most, however many ask for it."""

    def __init__(self) -> None:
        self._cached: BoundedDict[tuple[object, ...], Representation] = BoundedDict(_MOST_CACHED)

    def answer(self, version: Version, query: Query, after: PagePosition | None, now: float) -> Representation:
        """One page of ``version`` with the summary of all its current states; ``now`` is in Unix seconds."""
        name, universe = version.universe.at(now)
        age_seconds = max(0, int(now - version.built_at))
        key = (version.name, version.built_at, name, query, after)
        cached = self._cached.get(key)
        if cached is None or cached.tag.second != age_seconds:
            tag = Tag(blake2b(repr(key).encode(), digest_size=9).hexdigest(), age_seconds)
            cached = Representation(_body(version, universe, query, after, age_seconds, now), tag)
            self._cached[key] = cached
        return cached


def _body(
    version: Version, universe: Universe, query: Query, after: PagePosition | None, age_seconds: int, now: float
) -> bytes:
    page = universe.page(query, after, now)
    ends = page.ended_at and encode_cursor(Cursor(version.name, page.ended_at, question_of(query)))
    return b'{"as_of":%b,"age_seconds":%d,"symbols":%d,"timeframes":%b,"count":%d,"next":%b,"results":[%b]}' % (
        orjson.dumps(plain(version.built_at)),
        age_seconds,
        len(universe),
        universe.summary_json,
        page.count,
        orjson.dumps(ends),
        page.rows,
    )


_STARTS = tuple((timeframe, index * len(REGIMES)) for index, timeframe in enumerate(TIMEFRAMES))


def state_answer(state: StoredState, judgement: Judgement) -> Representation:
    """What ``GET /api/intelligence/regime/<symbol>`` says of a current state."""
    dominants = dominant_regimes(state.scores)
    age_seconds = int(judgement.age_seconds or 0)
    fields = {
        "symbol": state.symbol,
        "computed_at": plain(judgement.computed_at),
        "age_seconds": age_seconds,
        "expires_at": plain(judgement.expires_at),
        "data_through": data_through_value(state.data_through),
        "scores": {
            timeframe: dict(zip(REGIMES, state.scores[start : start + len(REGIMES)], strict=True))
            for timeframe, start in _STARTS
        },
        "dominant": {
            timeframe: None if index is None else REGIMES[index]
            for timeframe, index in zip(TIMEFRAMES, dominants, strict=True)
        },
    }
    said = repr((state.scores, judgement.computed_at, judgement.expires_at, state.data_through)).encode()
    return Representation(dump_json(fields), Tag(blake2b(said, digest_size=9).hexdigest(), age_seconds))


def plain(seconds: float | None) -> int | float | None:
    """Whole seconds without a fraction, as they are written in Redis."""
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds


class MacroAnswers:
    """Remembers the representation of each answer by the question."""

    def __init__(self) -> None:
        self._cached: BoundedDict[Hashable, Representation] = BoundedDict(_MOST_CACHED)

    def answer(self, question: Hashable, body: bytes) -> Representation:
        cached = self._cached.get(question)
        if cached is None or cached.body != body:
            cached = self._cached[question] = Representation(body, Tag(blake2b(body, digest_size=9).hexdigest()))
        return cached

"""The answer about the whole universe."""

from hashlib import blake2b

import orjson

from regime.roles.collection import Version
from regime.roles.representation import Representation, Tag
from regime.roles.state_answer import plain
from regime.rules.cursor import Cursor, encode_cursor, question_of
from regime.rules.listing import Place, Query
from regime.rules.universe import Universe

_KEPT = 64


class CollectionAnswers:
    """Makes each answer once a second at most, however many ask for it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Representation] = {}

    def answer(self, version: Version, query: Query, after: Place | None, now: float) -> Representation:
        """One page of ``version`` with the summary of all its current states; ``now`` is in Unix seconds."""
        name, universe = version.universe.at(now)
        age_seconds = max(0, int(now - version.built_at))
        key = (version.name, version.built_at, name, query, after)
        kept = self._kept.get(key)
        if kept is None or kept.tag.second != age_seconds:
            tag = Tag(blake2b(repr(key).encode(), digest_size=9).hexdigest(), age_seconds)
            kept = Representation(_body(version, universe, query, after, age_seconds, now), tag)
            self._keep(key, kept)
        return kept

    def _keep(self, key: tuple[object, ...], made: Representation) -> None:
        while len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[key] = made


def _body(
    version: Version, universe: Universe, query: Query, after: Place | None, age_seconds: int, now: float
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

"""States for the tests of this app."""

import random
from typing import Any

import orjson

from regime.domain.state import FIELDS, RegimeState, Scores
from regime.domain.universe import Page

NOW = 1_790_000_000.0

Row = dict[str, Any]


def some_scores(seed: int = 0) -> Scores:
    """A full set of scores of four decimals."""
    dice = random.Random(seed)
    return tuple(round(dice.random(), 4) for _ in FIELDS)


def a_state(symbol: str = "EURUSD=X", computed_at: float = NOW, seed: int = 0, **scores: float | None) -> RegimeState:
    """A full state; ``bull_1mo=0.9`` sets the field ``bull:1mo``."""
    values = dict(zip(FIELDS, some_scores(seed), strict=True))
    values |= {name.replace("_", ":"): score for name, score in scores.items()}
    return RegimeState(symbol, computed_at, tuple(values.values()))


def only(symbol: str, computed_at: float = NOW, **scores: float) -> RegimeState:
    """A state with just these scores."""
    values: dict[str, float | None] = dict.fromkeys(FIELDS)
    values |= {name.replace("_", ":"): score for name, score in scores.items()}
    return RegimeState(symbol, computed_at, tuple(values.values()))


def plain_hset(client: Any, symbol: str, fields: dict[str, object], ttl_seconds: float | None = None) -> None:
    """What a program in another language does: HSET and, if it thinks of it, EXPIRE."""
    key = f"argus:regime:{symbol}"
    client.hset(key, mapping=fields)
    if ttl_seconds is not None:
        client.pexpire(key, int(ttl_seconds * 1000))


def rows_of(page: Page) -> list[Row]:
    rows: list[Row] = orjson.loads(b"[" + page.rows + b"]")
    return rows

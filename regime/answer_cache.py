"""Ready-made macro answers in Redis, so that one process makes what all of them serve."""

from dataclasses import dataclass
from typing import Any, Self

import orjson
from django_redis import get_redis_connection

from regime import keys
from regime.conf import RegimeConf, regime_conf

_LEASE_MS = 5_000  # also how long after a failure nobody else tries


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """``made_at`` is in Unix seconds; ``generation`` is the number of the load that it was made after."""

    body: bytes
    made_at: float
    generation: int


class AnswerCache:
    """Keeps answers by name. ``client`` is the Redis of the role ``default``."""

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._life_seconds = conf.macro_fresh_seconds + conf.macro_stale_seconds

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.ANSWERS_ALIAS), regime_conf())

    def get(self, name: str) -> tuple[KeptAnswer | None, int]:
        """The kept answer, fresh or not, and the number of the newest load, in one command."""
        kept, generation = self._client.mget(keys.macro_answer(name), keys.MACRO_GENERATION)
        return _parsed(kept) if kept else None, int(generation or 0)

    def put(self, name: str, answer: KeptAnswer) -> None:
        head = orjson.dumps([answer.made_at, answer.generation])
        self._client.set(keys.macro_answer(name), head + b"\n" + answer.body, ex=self._life_seconds)

    def may_make(self, name: str, generation: int) -> bool:
        """Whether the caller is the one to make the answer after that load: true for one caller in some seconds."""
        return bool(self._client.set(keys.macro_lease(name, generation), "1", nx=True, px=_LEASE_MS))

    def outdate(self) -> None:
        """Makes every kept answer out of date: the data has changed."""
        self._client.incr(keys.MACRO_GENERATION)


def _parsed(kept: bytes) -> KeptAnswer:
    head, _, body = kept.partition(b"\n")
    made_at, generation = orjson.loads(head)
    return KeptAnswer(body, made_at, generation)

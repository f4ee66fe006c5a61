"""The cache of macro answers in Redis; one process builds an answer and all serve it."""

import logging
from dataclasses import dataclass
from typing import Any, Self

import orjson
from django_redis import get_redis_connection

from avo_project.lib.bounded_dict import BoundedDict
from avo_project.redis_client.persistent_connection import Argument, run_script
from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.conf import RegimeConf

logger = logging.getLogger(__name__)

_REMEMBERED = 64
_LEASE_MS = 5_000  # also the pause before another caller retries after a failure


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """``made_at`` is in Unix seconds; ``generation`` is the number of the load that it was made after."""

    body: bytes
    made_at: float
    generation: int


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """The cached answer, fresh or stale, None for none; the number of the newest load; whether the caller must rebuild
    it."""

    cached: CachedAnswer | None
    generation: int
    must_build: bool


class AnswerCache:
    """Caches answers by name in Redis, and the recent ones in this process too, so that Redis need not send them again.

    ``client`` is the Redis of the role ``default``.
    """

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._conf = conf
        self._held: BoundedDict[str, CachedAnswer] = BoundedDict(_REMEMBERED)
        self._take = client.register_script(read_lua("regime", "take_answer"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.ANSWERS_ALIAS), RegimeConf.load())

    def holds(self, name: str) -> bool:
        """Whether this process has an answer of that name, fresh or not."""
        return name in self._held

    def take(self, name: str, now: float) -> CacheLookup:
        """The cached answer at ``now`` (Unix seconds). Exactly one caller must rebuild a stale one."""
        held = self._held.get(name)
        cached, generation, must_build = self._taken(name, now, held)
        if cached:
            held = _parsed(cached)
            if held is not None:
                self._remember(name, held)
        return CacheLookup(None if cached is None else held, generation, bool(must_build))

    def _taken(self, name: str, now: float, held: CachedAnswer | None) -> list[Any]:
        names = [keys.macro_answer(name), keys.MACRO_GENERATION, keys.macro_lease(name)]
        arguments: list[Argument] = [now, self._conf.macro_fresh_seconds, _LEASE_MS, _head(held) if held else b""]
        taken: list[Any] = run_script(self._client, self._take, names, arguments)
        return taken

    def _remember(self, name: str, answer: CachedAnswer) -> None:
        self._held[name] = answer

    def put(self, name: str, answer: CachedAnswer) -> None:
        life_seconds = self._conf.macro_fresh_seconds + self._conf.macro_stale_seconds
        self._client.set(keys.macro_answer(name), _head(answer) + answer.body, ex=life_seconds)

    def invalidate(self) -> None:
        """Marks every cached answer as stale after a change of the data."""
        self._client.incr(keys.MACRO_GENERATION)


def _head(answer: CachedAnswer) -> bytes:
    return orjson.dumps([answer.made_at, answer.generation]) + b"\n"


def _parsed(cached: bytes) -> CachedAnswer | None:
    """None for an unreadable answer, which is treated as missing."""
    head, _, body = cached.partition(b"\n")
    try:
        made_at, generation = orjson.loads(head)
    except (ValueError, TypeError) as error:
        logger.warning("cached macro answer is unreadable and treated as missing: %s", error)
        return None
    return CachedAnswer(body, made_at, generation)

"""The packed collection and the dominance log in Redis: kept by version, swapped in behind one pointer."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.conf import RegimeConf
from regime.domain.columns import (
    Columns,
    DominanceLog,
    PackingError,
    newest_data,
    old_data,
    pack_columns,
    pack_dominance_log,
    unpack_columns,
    unpack_dominance_log,
)
from regime.domain.freshness import LIFE_SECONDS

logger = logging.getLogger(__name__)

_COLLECTION_LIFE_SECONDS = LIFE_SECONDS + 3600  # by then no state in it is current


@dataclass(frozen=True, slots=True)
class Pointer:
    """What is valid now; ``""`` and 0 where there is nothing yet. Times are Unix seconds.

    ``old_data`` is how many states of the collection had old data when it was built, ``newest_data`` the
    ``data_through`` that reaches furthest. ``misnamed`` counts the keys that the last scan of all states found under
    names that are no symbol, and ``misnamed_words`` names some. ``incomplete_walks`` counts the passes since the last
    complete one that may have missed states.
    """

    collection: str = ""
    built_at: float = 0.0
    symbols: int = 0
    ledger: str = ""
    cycle: int = 0
    cycle_id: str = ""
    cycle_ended_at: float = 0.0
    cycle_states: int = 0
    old_data: int = 0
    newest_data: str = ""
    misnamed: int = 0
    misnamed_words: str = ""
    incomplete_walks: int = 0


@dataclass(frozen=True, slots=True)
class Valid:
    """The valid version, ``""`` for none, and when it was built, in Unix seconds."""

    version: str
    built_at: float


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """One version as loaded; ``built_at`` is in Unix seconds."""

    built_at: float
    columns: Columns


class CollectionStore:
    """Keeps the collection and the dominance log. ``new_token`` makes the names of versions and leases."""

    def __init__(
        self, client: Any, conf: RegimeConf, new_token: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self._client = client
        self._conf = conf
        self._new_token = new_token
        self._token = new_token()
        self._swap = client.register_script(read_lua("regime", "swap_collection"))
        self._release = client.register_script(read_lua("regime", "release_lease"))
        self._mark_derived = client.register_script(read_lua("regime", "mark_derived"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), RegimeConf.load())

    def pointer(self) -> Pointer:
        held = self._client.hgetall(keys.POINTER)
        found = {name: held[name.encode()] for name in Pointer.__slots__ if name.encode() in held}
        return Pointer(**{name: _read(name, value) for name, value in found.items()})

    def count_incomplete_scan(self) -> None:
        """Counts a scan that may have missed states and was not published."""
        self._client.hincrby(keys.POINTER, "incomplete_walks", 1)

    def valid(self) -> Valid:
        """Which version is valid now, in one command."""
        version, built_at = self._client.hmget(keys.POINTER, "collection", "built_at")
        return Valid((version or b"").decode(), _read("built_at", built_at or b"0"))

    def lease(self) -> bool:
        """Takes the lease to build a collection; False when another holds it. Give it back with ``release``."""
        lease_ms = int(self._conf.collection_lease_seconds * 1000)
        return bool(self._client.set(keys.BUILD_LEASE, self._token, nx=True, px=lease_ms))

    def release(self) -> None:
        """Gives the build lease back, if it is still this process's."""
        self._release(keys=[keys.BUILD_LEASE], args=[self._token])

    def load(self, version: str, in_steps: bool = False) -> StoredCollection | None:
        """A version, None when it has expired or is unreadable and must be rebuilt.

        ``in_steps`` takes a command for each value: all in one hold the server up for 9 ms, which only a request needs,
        for it may send few.
        """
        name = keys.collection(version)
        packed = self._values(name) if in_steps else self._client.hgetall(name)
        try:
            return StoredCollection(float(packed[b"built_at"]), unpack_columns(packed)) if packed else None
        except (KeyError, ValueError) as error:  # PackingError too
            logger.warning("collection %s is unreadable and treated as missing: %s", version, error)
            return None

    def _values(self, name: str) -> dict[bytes, bytes]:
        values = {field: self._client.hget(name, field) for field in self._client.hkeys(name)}
        return {} if None in values.values() else values  # it has expired meanwhile

    def load_dominance_log(self, version: str) -> DominanceLog | None:
        """The dominance log of a version, None when there is none or it cannot be read."""
        packed = self._client.hgetall(keys.dominance_log(version)) if version else None
        try:
            return unpack_dominance_log(packed) if packed else None
        except PackingError as error:
            logger.warning("dominance log %s is unreadable and treated as missing: %s", version, error)
            return None

    def publish(self, columns: Columns, made_from: Pointer, built_at: float, **pointer_fields: Any) -> Pointer | None:
        """Makes ``columns`` the valid collection. None when ``made_from`` is no longer what is valid.

        ``pointer_fields`` are further fields of the pointer.
        """
        version = self._stored_columns(columns, built_at)
        new = replace(made_from, collection=version, **_collection_fields(columns, built_at), **pointer_fields)
        return self._swapped(new, made_from)

    def confirm(self, columns: Columns, made_from: Pointer, built_at: float, **pointer_fields: Any) -> Pointer | None:
        """Says that the valid collection, ``columns``, was still right at ``built_at``. The rest as in ``publish``."""
        self._client.expire(keys.collection(made_from.collection), _COLLECTION_LIFE_SECONDS)
        return self._swapped(replace(made_from, **_collection_fields(columns, built_at), **pointer_fields), made_from)

    def end_cycle(
        self, columns: Columns, log: DominanceLog, made_from: Pointer, ended_at: float, states: int
    ) -> Pointer | None:
        """Publishes collection and log of a cycle that wrote ``states`` states in one swap. None as in ``publish``."""
        new = replace(
            made_from,
            collection=self._stored_columns(columns, ended_at),
            ledger=self._stored(keys.dominance_log, pack_dominance_log(log), self._conf.ledger_life_seconds),
            cycle=made_from.cycle + 1,
            cycle_id=f"{made_from.cycle + 1}-{self._new_token()}",
            cycle_ended_at=ended_at,
            cycle_states=states,
            **_collection_fields(columns, ended_at),
        )
        return self._swapped(new, made_from)

    def mark_derived(self, timeframe: str, cycle: int) -> int:
        """Records a request for the changes up to ``cycle``; returns the cycle of the request before,
        always the same number for one ``cycle``."""
        return int(self._mark_derived(keys=[keys.DERIVED], args=[timeframe, cycle]))

    def _stored_columns(self, columns: Columns, built_at: float) -> str:
        packed = {"built_at": repr(built_at).encode(), **pack_columns(columns)}
        return self._stored(keys.collection, packed, _COLLECTION_LIFE_SECONDS)

    def _stored(self, key_of: Callable[[str], str], packed: Mapping[str, bytes], life_seconds: int) -> str:
        version = self._new_token()
        for name, blob in packed.items():  # one value a step: none holds the server up
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hset(key_of(version), name, blob)
            pipeline.expire(key_of(version), life_seconds)
            pipeline.execute()
        return version

    def _swapped(self, new: Pointer, old: Pointer) -> Pointer | None:
        fields = [part for name in Pointer.__slots__ for part in (name, getattr(new, name))]
        names = [
            keys.POINTER,
            keys.collection(new.collection),
            keys.collection(old.collection),
            keys.dominance_log(new.ledger),
            keys.dominance_log(old.ledger),
        ]
        swapped = self._swap(
            keys=names, args=[old.collection, old.ledger, self._conf.replaced_version_seconds, *fields]
        )
        if swapped == 1:
            return new
        self._drop(new, old)
        return None

    def _drop(self, new: Pointer, old: Pointer) -> None:
        if new.collection != old.collection:
            self._client.unlink(keys.collection(new.collection))
        if new.ledger != old.ledger:
            self._client.unlink(keys.dominance_log(new.ledger))


def _collection_fields(columns: Columns, built_at: float) -> dict[str, Any]:
    """The fields of the pointer about the collection."""
    return {
        "built_at": built_at,
        "symbols": len(columns),
        "old_data": old_data(columns, built_at),
        "newest_data": newest_data(columns).decode(),
    }


def _read(name: str, value: bytes) -> Any:
    """A field of the pointer; as if it were not there when it is no number."""
    try:
        return _READERS[name](value)
    except ValueError:
        return getattr(Pointer(), name)


_READERS: dict[str, Callable[[bytes], Any]] = {
    "collection": bytes.decode,
    "built_at": float,
    "symbols": int,
    "ledger": bytes.decode,
    "cycle": int,
    "cycle_id": bytes.decode,
    "cycle_ended_at": float,
    "cycle_states": int,
    "old_data": int,
    "newest_data": bytes.decode,
    "misnamed": int,
    "misnamed_words": bytes.decode,
    "incomplete_walks": int,
}

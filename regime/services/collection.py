"""Serves the collection from memory: a process loads each version once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from redis.exceptions import RedisError

from avo_project.lib.bounded_dict import BoundedDict
from regime.conf import RegimeConf
from regime.domain.universe import DatedUniverse
from regime.services.refresher import CollectionBuild
from regime.store.collection_store import CollectionStore, Valid

_KEPT_VERSIONS = 3

logger = logging.getLogger(__name__)


class CollectionMissingError(Exception):
    """Raised while the first collection is being built."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version in memory. ``built_at`` is in Unix seconds."""

    name: str
    built_at: float
    universe: DatedUniverse


class Collection:
    """Returns the newest version of the collection, or the version named by a cursor.

    A missing or outdated collection is built in a thread of the process that gets the lease; an outdated one is served
    meanwhile. ``monotonic`` returns seconds and limits how often a newer version is looked for. A call sends at most
    three commands to Redis.
    """

    def __init__(
        self,
        store: CollectionStore,
        build: CollectionBuild,
        conf: RegimeConf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._build = build
        self._conf = conf
        self._monotonic = monotonic
        self._loaded: BoundedDict[str, Version] = BoundedDict(_KEPT_VERSIONS)
        self._newest: Version | None = None
        self._checked_at = float("-inf")
        self._loading = threading.Lock()
        self._planning = threading.Lock()
        self._planned: threading.Timer | None = None
        self._built = threading.Event()

    @classmethod
    def connect(cls) -> Self:
        return cls(CollectionStore.connect(), CollectionBuild.connect(), RegimeConf.load())

    def newest(self, now: float) -> Version:
        """The valid version; ``now`` is in Unix seconds. Raises CollectionMissingError after a short wait for one."""
        newest = self._newest
        if newest is not None and self._monotonic() - self._checked_at < self._conf.collection_check_seconds:
            return newest
        valid = self._store.valid()
        found = self._loaded.get(valid.version) or self._load(valid.version, waits=newest is None)
        if found is not None and found.name == valid.version and found.built_at != valid.built_at:
            found = self._loaded[found.name] = replace(found, built_at=valid.built_at)  # rebuilt, and nothing changed
        if found is None or now - valid.built_at >= self._conf.collection_max_age_seconds:
            self._start_build(valid, now)
        found = found or self._built_here()
        self._newest, self._checked_at = found, self._monotonic()
        return found

    def holds_symbol(self, symbol: str) -> bool:
        """Whether the newest version in memory has a state of ``symbol``, current or not. Asks Redis nothing: a process
        with none or an old one in memory loads one a moment later, when the request has been answered."""
        newest = self._newest
        if newest is None or self._monotonic() - self._checked_at >= self._conf.collection_max_age_seconds:
            self._load_later()
        return newest is not None and newest.universe.holds(symbol)

    def version(self, name: str) -> Version | None:
        """The version ``name``, None when it is no longer kept."""
        return self._loaded.get(name) or self._load(name, waits=True)

    def _load_later(self) -> None:
        with self._planning:
            if self._planned is None or not self._planned.is_alive():
                self._planned = threading.Timer(self._conf.collection_load_pause_seconds, self._load_ahead)
                self._planned.name, self._planned.daemon = "collection-load", True
                self._planned.start()

    def _load_ahead(self) -> None:
        try:
            self._newest, self._checked_at = self._load(self._store.valid().version, waits=True), self._monotonic()
        except RedisError as failure:
            logger.warning("collection not preloaded: %s", failure)

    def _start_build(self, seen: Valid, now: float) -> None:
        if self._store.lease():
            self._built.clear()
            threading.Thread(target=self._rebuild, args=(seen, now), name="collection-build", daemon=True).start()

    def _built_here(self) -> Version:
        self._built.wait(self._conf.collection_wait_seconds)
        if not self._loaded:
            raise CollectionMissingError
        return next(reversed(self._loaded.values()))

    def _load(self, name: str, waits: bool) -> Version | None:
        if not self._loading.acquire(blocking=waits):
            return self._newest  # another thread is loading it: until then the one before will do
        try:
            if name not in self._loaded:
                held = self._store.load(name) if name else None
                if held is None:
                    return None
                self._keep(Version(name, held.built_at, DatedUniverse(held.columns)))
            return self._loaded[name]
        finally:
            self._loading.release()

    def _keep(self, version: Version) -> None:
        self._loaded[version.name] = version

    def _rebuild(self, seen: Valid, now: float) -> None:
        try:
            made_from = self._store.pointer()
            if Valid(made_from.collection, made_from.built_at) != seen:  # built meanwhile
                self._load(made_from.collection, waits=True)
                return
            columns, scan_counts = self._build.build(now)
            swapped = self._store.publish(columns, made_from, now, **scan_counts.pointer_fields())
            if swapped is not None:
                self._keep(Version(swapped.collection, now, DatedUniverse(columns)))
        finally:
            try:
                self._store.release()
            finally:
                self._built.set()

"""Public keys of Clerk: the last valid set stays in use; at most one process fetches, once in 30 s."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from prometheus_client import Counter
from redis.exceptions import RedisError

from avo_project.http.fetch import fetch
from throttling.domain.key_set import KeySet, KeySetError, parse_jwks
from throttling.store.jwks_cache import JWKSCache

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_SECONDS = 3.0
MAX_DOCUMENT_BYTES = 1_000_000
FETCH_PAUSE_SECONDS = 30.0
FAILED_PAUSE_SECONDS = 5.0
CACHE_PAUSE_SECONDS = 0.2
REFRESH_TIMEOUT_SECONDS = 0.5
RELOAD_PAUSE_SECONDS = 1.0
_POLL_SECONDS = 0.05

FETCHES = Counter("avo_throttle_jwks_fetches", "Fetches of the Clerk key set", ["outcome"])
for _outcome in ("fetched", "failed"):
    FETCHES.labels(_outcome)  # created at 0, so that a rate includes the first fetch


class KeysUnavailableError(Exception):
    """No key is known and none can be fetched, so no token can be verified."""


class Keys(Protocol):
    """A source of public keys."""

    def find(self, kid: str) -> RSAPublicKey | None:
        """The key with that id, or None. Raises KeysUnavailableError when no key at all is known."""

    def known(self, kid: str) -> RSAPublicKey | None:
        """The key with that id if it is in memory. Makes no round trip."""

    def mark_verified(self, is_new: bool = False) -> None:
        """Reports a valid token; ``is_new`` when the latest refresh brought its key."""

    def refresh(self) -> bool:
        """Loads newer keys, unless a pause is in effect. Returns whether there are any."""


class StaticKey:
    """The key in CLERK_JWT_KEY. It has no id and is never fetched."""

    def __init__(self, key: RSAPublicKey) -> None:
        self._key = key

    def find(self, kid: str) -> RSAPublicKey | None:
        return self._key

    known = find

    def mark_verified(self, is_new: bool = False) -> None:
        """Does nothing: a static key is never reloaded."""

    def refresh(self) -> bool:
        return False


def fetch_document(url: str) -> str:
    """Returns the text at ``url``. Raises httpx.HTTPError."""
    headers = {"Accept": "application/json"}
    answer = fetch("GET", url, seconds=FETCH_TIMEOUT_SECONDS, max_bytes=MAX_DOCUMENT_BYTES, headers=headers)
    return answer.body.decode("utf-8", "replace")


def in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


class JWKSClient:
    """The keys of a JWKS URL, shared by all processes through ``JWKSCache``.

    Keys stay in use while the URL fails. A fetch is caused by an unknown key id, by a bad signature, or by a valid
    token when the keys are 30 s old. One process fetches; the next fetch is at least 30 s later, unless this one failed
    with no key known or brought the key of a valid token. Other processes read the cache, at most five times a second.
    Without Redis each process applies the same pauses by itself.
    """

    def __init__(
        self,
        url: str,
        cache: JWKSCache,
        fetch: Callable[[str], str] = fetch_document,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        self._url, self._cache, self._fetch, self._clock, self._monotonic = url, cache, fetch, clock, monotonic
        self._spawn, self._lock = spawn, threading.Lock()
        self._known: KeySet | None = None
        self._is_unverified = False  # this process fetched, and no valid token has used a new key yet
        self._next_update = self._next_fetch = self._next_first = self._next_reload = -math.inf

    def find(self, kid: str) -> RSAPublicKey | None:
        return (self._known or self._load_first()).keys.get(kid)

    def known(self, kid: str) -> RSAPublicKey | None:
        return self._known.keys.get(kid) if self._known else None

    def mark_verified(self, is_new: bool = False) -> None:
        if is_new and self._is_unverified:
            self._end_pause()
        if self._is_old() and self._monotonic() >= self._next_reload:
            self._next_reload = self._monotonic() + RELOAD_PAUSE_SECONDS
            self._spawn(self._reload)

    def refresh(self, timeout_seconds: float = REFRESH_TIMEOUT_SECONDS) -> bool:
        before = self._known
        if not self._lock.acquire(timeout=timeout_seconds):
            return False
        try:
            if self._known is not before:
                return True
            return self._monotonic() >= self._next_update and self._update()
        finally:
            self._lock.release()

    def _end_pause(self) -> None:
        self._is_unverified, self._next_update, self._next_fetch = False, -math.inf, -math.inf
        try:
            self._cache.drop_lease()
        except RedisError as failure:
            logger.warning("cannot end the pause between key fetches: %s", failure)

    def _is_old(self) -> bool:
        return self._known is not None and self._clock() - self._known.fetched_at >= FETCH_PAUSE_SECONDS

    def _reload(self) -> None:
        """Reloads old keys, from the cache or from the URL."""
        with self._lock:
            if self._is_old():
                self._load_cached()
            if self._is_old() and self._may_fetch():
                self._fetch_keys()

    def _load_first(self) -> KeySet:
        """Loads the first keys of this process. Waits while another process fetches them."""
        with self._lock:
            deadline = self._monotonic() + FETCH_TIMEOUT_SECONDS
            while self._known is None:
                if self._monotonic() < self._next_first:
                    raise KeysUnavailableError
                if self._update():
                    break
                if self._monotonic() < self._next_fetch or self._monotonic() >= deadline:
                    self._next_first = self._monotonic() + FAILED_PAUSE_SECONDS
                else:
                    threading.Event().wait(_POLL_SECONDS)
            assert self._known is not None
            return self._known

    def _update(self) -> bool:
        self._next_update = self._monotonic() + CACHE_PAUSE_SECONDS
        return self._load_cached() or (self._may_fetch() and self._fetch_keys())

    def _load_cached(self) -> bool:
        try:
            stored = self._cache.get()
        except RedisError as failure:
            logger.warning("cannot read the shared key set: %s", failure)
            return False
        if stored is None or (self._known and stored.fetched_at <= self._known.fetched_at):
            return False
        self._known, self._is_unverified = self._known_as(stored), False
        return True

    def _known_as(self, newer: KeySet) -> KeySet:
        """``newer``, with the known key objects if the document is the same: verified tokens are compared by them."""
        if self._known is None or self._known.document != newer.document:
            return newer
        return replace(newer, keys=self._known.keys)

    def _may_fetch(self) -> bool:
        if self._monotonic() < self._next_fetch:
            return False
        try:
            may = self._cache.take_lease(FETCH_PAUSE_SECONDS)
        except RedisError:
            may = True  # logged by the caller; the pause of this process applies
        if may:
            self._next_fetch = self._monotonic() + FETCH_PAUSE_SECONDS
        return may

    def _fetch_keys(self) -> bool:
        began = self._clock()
        try:
            fetched = parse_jwks(self._fetch(self._url), began)
        except (httpx.HTTPError, httpx.InvalidURL, KeySetError) as failure:
            logger.warning("cannot fetch the Clerk key set from %s: %s", self._url, failure)
            FETCHES.labels("failed").inc()
            self._after_failure()
            return False
        FETCHES.labels("fetched").inc()
        self._known, self._is_unverified = self._known_as(fetched), True
        try:
            self._cache.put(self._known)
        except RedisError as failure:
            logger.warning("cannot share the key set with other processes: %s", failure)
        return True

    def _after_failure(self) -> None:
        """Shortens the pause while no key is known."""
        if self._known is not None:
            return
        self._next_fetch = self._monotonic() + FAILED_PAUSE_SECONDS
        try:
            self._cache.shorten_lease(FAILED_PAUSE_SECONDS)
        except RedisError as failure:
            logger.warning("cannot shorten the lease of the key fetch: %s", failure)

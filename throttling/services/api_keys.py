"""API keys: verification, last use, creation and revocation."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet
from rest_framework.authtoken.models import Token

from avo_project.lib.bounded_dict import BoundedDict
from throttling.domain.api_keys import KEY_BITS, digest, key_of, shown
from throttling.domain.clerk_token import BadTokenError
from throttling.models import APIKey

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class LastUse:
    """A timer writes the keys used, ``pause_seconds`` after the first of them (None: nothing is noted).

    It is a figure for people, good to a minute: what the database does not take is dropped.
    """

    def __init__(self, pause_seconds: float | None = PAUSE_SECONDS, now: Callable[[], datetime] = _now) -> None:
        self._pause_seconds, self._now = pause_seconds, now
        self._used: set[int] = set()
        self._timer: threading.Thread | None = None
        self._lock = threading.Lock()

    def note(self, key_id: int) -> None:
        if self._pause_seconds is None:
            return
        with self._lock:
            self._used.add(key_id)
            if self._timer is None or not self._timer.is_alive():
                self._timer = threading.Timer(self._pause_seconds, self._run)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        with self._lock:
            used, self._used, self._timer = self._used, set(), None
        try:
            APIKey.objects.filter(pk__in=used).update(last_used_at=self._now())
        except DatabaseError as failure:
            logger.warning("the last use of %d API keys cannot be written down: %s", len(used), failure)

    def _run(self) -> None:
        """In the timer's thread, whose connection nobody else would close."""
        try:
            self.flush()
        finally:
            connections.close_all()


REFRESH_SECONDS = 2.0
MAX_REMEMBERED = 10_000
DRF_NAME = "DRF token"


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """A key that is good: DRF's ``request.auth``. ``expires_at`` is in Unix seconds, None without an end; ``scopes``
    is None when it may be used on every route."""

    key_id: int
    user: Any
    expires_at: float | None
    scopes: frozenset[str] | None

    @property
    def valid_until(self) -> float | None:
        """From then on the key is rejected."""
        return self.expires_at


class APIKeys:
    """Checks keys by one indexed query, and remembers the good ones for ``refresh_seconds``: so long at most a revoked
    key, a disabled account or a withdrawn permission goes on counting. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        last_use: LastUse,
        refresh_seconds: float = REFRESH_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._last_use, self._refresh_seconds = last_use, refresh_seconds
        self._clock, self._monotonic = clock, monotonic
        self._remembered: BoundedDict[str, tuple[VerifiedKey, float]] = BoundedDict(MAX_REMEMBERED)

    def recall(self, key: str) -> VerifiedKey | None:
        """The key if it was read within the last ``refresh_seconds`` and is still good."""
        kept = self._remembered.get(digest(key))
        if kept is None or self._monotonic() - kept[1] >= self._refresh_seconds:
            return None
        return kept[0] if _lasts(kept[0], self._clock()) else None

    def is_remembered(self, key: str) -> bool:
        """Whether it was good when it was read last, however long ago."""
        return digest(key) in self._remembered

    def check(self, key: str) -> VerifiedKey:
        """The key as the database has it now. Raises BadTokenError, DatabaseError."""
        hashed = digest(key)
        try:
            found = self._read(key, hashed)
        except BadTokenError:
            self._remembered.pop(hashed, None)
            raise
        self._last_use.note(found.key_id)
        self._remembered[hashed] = found, self._monotonic()
        return found

    def _read(self, key: str, hashed: str) -> VerifiedKey:
        row = APIKey.objects.select_related("user").filter(digest=hashed).first() or _adopted(key)
        if row is None:
            raise BadTokenError("unknown", "The API key is not known.")
        if row.revoked_at is not None:
            raise BadTokenError("revoked", "The API key was revoked.")
        if not row.user.is_active:
            raise BadTokenError("inactive", "The account of the API key is disabled.")
        expires_at = row.expires_at.timestamp() if row.expires_at else None
        found = VerifiedKey(row.pk, row.user, expires_at, frozenset(row.scopes) or None)
        if not _lasts(found, self._clock()):
            raise BadTokenError("expired", "The API key has expired.")
        return found


def _lasts(key: VerifiedKey, now: float) -> bool:
    return key.expires_at is None or now < key.expires_at


def issue(user: Any, name: str, expires_at: datetime | None = None, scopes: Iterable[str] = ()) -> str:
    """Makes a key for ``user``. Its text is returned here and kept nowhere."""
    key = new_key()
    mark(APIKey(user=user, name=name, expires_at=expires_at, scopes=sorted(scopes)), key).save()
    return key


def new_key() -> str:
    return key_of(secrets.randbits(KEY_BITS))


def mark(row: APIKey, key: str) -> APIKey:
    """Makes ``row``, which is not saved yet, the one of ``key``."""
    row.digest, row.shown = digest(key), shown(key)
    return row


def revoke(keys: QuerySet[APIKey]) -> int:
    """Revokes those that are not yet; they stay as a record. In force everywhere within REFRESH_SECONDS."""
    return keys.filter(revoked_at=None).update(revoked_at=datetime.now(UTC))


def adopt(instance: Token, **signal: Any) -> None:
    """For ``post_save`` of DRF's tokens: whoever made one holds its text, and the row with that text goes."""
    with transaction.atomic():
        if not APIKey.objects.filter(digest=digest(instance.key)).exists():
            mark(APIKey(user_id=instance.user_id, name=DRF_NAME), instance.key).save()
        Token.objects.filter(key=instance.key).delete()


def _adopted(key: str) -> APIKey | None:
    """A token of DRF's that came without a signal: inserted in bulk, or by an older version of this code."""
    if not key.isascii() or not key.isprintable():
        return None
    token = Token.objects.filter(key=key).first()
    if token is None:
        return None
    adopt(token)
    return APIKey.objects.select_related("user").get(digest=digest(key))

"""API keys of this server: verification, last use, creation and revocation."""

import hashlib
import logging
import re
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
from avo_project.runtime.delayed_call import DelayedCall
from throttling.domain.clerk_token import BadTokenError
from throttling.models import APIKey

logger = logging.getLogger(__name__)

PREFIX = "avo_"
SHOWN_CHARACTERS = 12
KEY_BITS = 160
_KEY = re.compile(rf"(?:{PREFIX})?[0-9a-f]{{{KEY_BITS // 4}}}")  # tokens of DRF have no prefix


def is_key(text: str) -> bool:
    """Whether ``text`` has the form of an API key of this server."""
    return _KEY.fullmatch(text) is not None


def digest(key: str) -> str:
    """SHA-256 of a key in hexadecimal, the stored form. Keys are long and random, so no slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def shown(key: str) -> str:
    """The first characters of a key, shown to people."""
    return key[:SHOWN_CHARACTERS] if is_key(key) else ""


def _now() -> datetime:
    return datetime.now(UTC)


class LastUse:
    """Records when keys were last used. A timer writes them ``pause_seconds`` after the first use; None disables it.

    The time is accurate to a minute. An update that the database rejects is dropped.
    """

    def __init__(self, pause_seconds: float | None, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._used: set[int] = set()
        self._lock = threading.Lock()
        self._write = None if pause_seconds is None else DelayedCall(self._run, pause_seconds)

    def note(self, key_id: int) -> None:
        if self._write is None:
            return
        with self._lock:
            self._used.add(key_id)
        self._write.request()

    def flush(self) -> None:
        with self._lock:
            used, self._used = self._used, set()
        try:
            APIKey.objects.filter(pk__in=used).update(last_used_at=self._now())
        except DatabaseError as failure:
            logger.warning("cannot write the last use of %d API keys: %s", len(used), failure)

    def _run(self) -> None:
        """Runs in the timer's thread and closes its database connection."""
        try:
            self.flush()
        finally:
            connections.close_all()


MAX_REMEMBERED = 10_000
DRF_NAME = "DRF token"


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """A valid key; the ``request.auth`` of DRF. ``expires_at`` is in Unix seconds, None for no expiry; ``scopes`` None
    allows every route."""

    key_id: int
    user: Any
    expires_at: float | None
    scopes: frozenset[str] | None

    @property
    def valid_until(self) -> float | None:
        """When the key stops being accepted (Unix seconds)."""
        return self.expires_at


class APIKeys:
    """Verifies keys by one indexed query and caches valid ones for ``refresh_seconds``, the longest time that a revoked
    key, a disabled account or a withdrawn permission is still accepted. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        last_use: LastUse,
        refresh_seconds: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._last_use, self._refresh_seconds = last_use, refresh_seconds
        self._clock, self._monotonic = clock, monotonic
        self._remembered: BoundedDict[str, tuple[VerifiedKey, float]] = BoundedDict(MAX_REMEMBERED)

    def recall(self, key: str) -> VerifiedKey | None:
        """The key, if it was read within the last ``refresh_seconds`` and has not expired."""
        kept = self._remembered.get(digest(key))
        if kept is None or self._monotonic() - kept[1] >= self._refresh_seconds:
            return None
        return kept[0] if _lasts(kept[0], self._clock()) else None

    def is_remembered(self, key: str) -> bool:
        """Whether the key was valid at its last read, however long ago."""
        return digest(key) in self._remembered

    def check(self, key: str) -> VerifiedKey:
        """Reads the key from the database. Raises BadTokenError, DatabaseError."""
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
    """Creates a key for ``user`` and returns its text, which is not stored."""
    key = new_key()
    mark(APIKey(user=user, name=name, expires_at=expires_at, scopes=sorted(scopes)), key).save()
    return key


def new_key() -> str:
    return f"{PREFIX}{secrets.randbits(KEY_BITS):0{KEY_BITS // 4}x}"


def mark(row: APIKey, key: str) -> APIKey:
    """Sets the fields of the unsaved ``row`` that identify ``key``."""
    row.digest, row.shown = digest(key), shown(key)
    return row


def revoke(keys: QuerySet[APIKey]) -> int:
    """Revokes the active ones of ``keys``. The rows remain. Takes effect within ``api_key_refresh_seconds``."""
    return keys.filter(revoked_at=None).update(revoked_at=datetime.now(UTC))


def adopt(instance: Token, **signal: Any) -> None:
    """Receiver of ``post_save`` for DRF tokens: stores the token as an API key, then deletes the row with its text."""
    with transaction.atomic():
        if not APIKey.objects.filter(digest=digest(instance.key)).exists():
            mark(APIKey(user_id=instance.user_id, name=DRF_NAME), instance.key).save()
        Token.objects.filter(key=instance.key).delete()


def _adopted(key: str) -> APIKey | None:
    """Converts a DRF token that was saved without a signal: by a bulk insert or an older version of this code."""
    if not key.isascii() or not key.isprintable():
        return None
    token = Token.objects.filter(key=key).first()
    if token is None:
        return None
    adopt(token)
    return APIKey.objects.select_related("user").get(digest=digest(key))

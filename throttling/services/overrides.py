"""Cache of the tier overrides, reloaded from the database every two seconds."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from throttling.domain.policies import Policy, RatesError, parse_policies
from throttling.domain.subjects import normal
from throttling.models import TierOverride

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Override:
    """The override of one subject. ``tier`` is empty when only the rates differ."""

    tier: str
    policies: tuple[Policy, ...]
    reason: str
    expires_at: datetime | None


def override_row(subject: str) -> TierOverride | None:
    """The row for ``subject``, compared in normalised form."""
    found = [row for row in TierOverride.objects.all() if _subject(row) == subject]
    return found[-1] if found else None


def _subject(row: TierOverride) -> str | None:
    try:
        return normal(row.subject)
    except ValueError:
        return None


class Overrides:
    """Overrides by subject. While the database fails, the last loaded ones apply.

    With ``refresh_seconds`` None no override applies and the database is not read.
    """

    def __init__(
        self,
        rates: Mapping[str, tuple[Policy, ...]],
        refresh_seconds: float | None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._rates, self._refresh_seconds, self._monotonic, self._now = rates, refresh_seconds, monotonic, now
        self._by_subject: dict[str, Override] = {}
        self._next_read = 0.0

    def find(self, subject: str) -> Override | None:
        if self._refresh_seconds is None:
            return None
        if self._monotonic() >= self._next_read:
            self._next_read = self._monotonic() + self._refresh_seconds
            self._read()
        override = self._by_subject.get(subject)
        if override and override.expires_at and override.expires_at <= self._now():
            return None
        return override

    def _read(self) -> None:
        try:
            rows = list(TierOverride.objects.all())
        except DatabaseError as failure:
            logger.warning("cannot read overrides, keeping the last loaded ones: %s", failure)
            return
        self._by_subject = dict(filter(None, map(self._entry, rows)))

    def _entry(self, row: TierOverride) -> tuple[str, Override] | None:
        try:
            of_tier = self._rates[row.tier] if row.tier else ()
            policies = parse_policies(row.rates) if row.rates else of_tier
            return normal(row.subject), Override(row.tier, policies, row.reason, row.expires_at)
        except (RatesError, KeyError, ValueError) as error:
            logger.warning("ignoring invalid override %s: %s", row.pk, error)
            return None

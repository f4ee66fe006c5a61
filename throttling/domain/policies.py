"""Rate-limit policies, tiers and their parsers; hits and their outcomes. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Self

from throttling.domain.subjects import is_id

BUCKETS = 25
"""Buckets per window. A unit returns when its whole bucket has left the window, at most 1/25 of the window late. A
client that uses every unit gets 25/26 = 96.2 % of its limit."""
CONDITIONAL_MULTIPLE = 10
"""Uncharged conditional requests per window, as a multiple of the limit."""


def whole_seconds(ms: int) -> int:
    """A wait in whole seconds, rounded up, for every header and text."""
    return ceil(ms / 1000)


@dataclass(frozen=True, slots=True)
class Policy:
    """At most ``limit`` units in every rolling ``window_seconds``. A ``shadow`` policy counts but never rejects."""

    name: str
    limit: int
    window_seconds: int
    shadow: bool = False

    @property
    def bucket_ms(self) -> int:
        return self.window_seconds * 1000 // BUCKETS

    def units(self, cost: int) -> int:
        """The units charged for ``cost``: at most the whole limit."""
        return min(cost, self.limit)


@lru_cache(maxsize=1024)
def conditional_allowance(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policies of uncharged conditional requests, over the same windows."""
    return tuple(replace(policy, limit=policy.limit * CONDITIONAL_MULTIPLE) for policy in policies)


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for ``cost`` units of every policy of ``subject``.

    A test checks the policies without charging them; only the windows of its ``allowance`` are charged.
    """

    subject: str
    policies: tuple[Policy, ...]
    cost: int = 1
    is_test: bool = False
    allowance: tuple[Policy, ...] = ()

    @property
    def checked_only(self) -> int:
        """The number of leading policies that are checked but not charged; the allowance follows them."""
        return len(self.policies) if self.is_test or not self.cost else 0


@dataclass(frozen=True, slots=True)
class WindowStats:
    """The state of one window: units used, and the time until the oldest of them returns."""

    used: int
    frees_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a hit: allowed if ``wait_ms`` is 0, otherwise rejected and not charged.

    ``exact`` is false for the local fallback; ``is_allowance_used_up`` is true for a test that its allowance rejected.
    """

    hit: Hit
    wait_ms: int
    windows: tuple[WindowStats, ...]
    exact: bool = True
    is_allowance_used_up: bool = False

    @classmethod
    def of(cls, hit: Hit, wait_ms: int, windows: Sequence[WindowStats], exact: bool = True) -> Self:
        """``windows`` has one entry per policy, then one per policy of the allowance."""
        own = len(hit.policies)
        is_used_up = wait_ms > 0 and any(
            window.used + policy.units(hit.cost) > policy.limit and not policy.shadow
            for policy, window in zip(hit.allowance, windows[own:], strict=True)
        )
        return cls(hit, wait_ms, tuple(windows[:own]), exact, is_used_up)

    @property
    def allowed(self) -> bool:
        return self.wait_ms == 0

    @property
    def charged(self) -> bool:
        return self.allowed and not self.hit.is_test

    @property
    def is_pending(self) -> bool:
        """Whether this is an allowed test, to be committed or released."""
        return self.allowed and self.hit.is_test and self.hit.cost > 0

    @property
    def retry_after_seconds(self) -> int:
        return whole_seconds(self.wait_ms)

    def after(self, elapsed_ms: int) -> Self | None:
        """The same rejection ``elapsed_ms`` later; None once units may have come back."""
        later = tuple(replace(window, frees_ms=window.frees_ms - elapsed_ms) for window in self.windows)
        wait_ms = self.wait_ms - elapsed_ms
        if wait_ms <= 0 or any(window.used and window.frees_ms <= 0 for window in later):
            return None
        return replace(self, wait_ms=wait_ms, windows=later)

    def remaining(self) -> list[int]:
        """Units left under each policy."""
        return [
            max(0, policy.limit - window.used) for policy, window in zip(self.hit.policies, self.windows, strict=True)
        ]

    def affordable(self) -> int:
        """The largest cost that no policy would reject."""
        limiting = zip(self.hit.policies, self.remaining(), strict=True)
        return min((left for policy, left in limiting if not policy.shadow), default=0)

    def exceeded(self) -> list[Policy]:
        """The policies whose limit this hit exceeds."""
        return [
            policy
            for policy, window in zip(self.hit.policies, self.windows, strict=True)
            if window.used + (0 if self.charged else policy.units(self.hit.cost)) > policy.limit
        ]


ANONYMOUS, FREE, INSTITUTIONAL, BAD_TOKEN = "anonymous", "free", "institutional", "bad_token"
FAILED_LOGIN = "failed_login"
DEFAULT_RATES = (
    "anonymous=30/min;free=60/min;pro=600/min;institutional=6000/min;bad_token=30/min;failed_login=5/min,20/h"
)
DEFAULT_STREAMS = "anonymous=0;free=2;pro=10;institutional=50;bad_token=0;failed_login=0"

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), "second"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "minute"),
    **dict.fromkeys(("h", "hour", "hours"), "hour"),
    **dict.fromkeys(("d", "day", "days"), "day"),
}
_RATE = re.compile(r"(?P<limit>\d{1,12})/(?P<count>\d{0,4})(?P<unit>[a-z]+)(?P<shadow>:shadow)?")


class RatesError(ValueError):
    """An invalid rate. The message names it and gives a valid example."""


def parse_rates(text: str, tiers: Iterable[str] = ()) -> dict[str, tuple[Policy, ...]]:
    """The policies of every tier. A tier that ``text`` leaves out keeps its default.

    ``tiers`` are allowed besides the default ones and must be given a rate. Raises RatesError.
    """
    rates = _parse(DEFAULT_RATES)
    known = {*rates, *tiers}
    given = _parse(text)
    for tier in given:
        if tier not in known:
            raise _unknown_tier(tier, known)
    rates.update(given)
    for tier in sorted(known - set(rates)):
        raise RatesError(f"the tier {tier!r} of CLERK_PLAN_TIERS has no rate. Add {tier}=60/min, for example.")
    return rates


def parse_policies(text: str) -> tuple[Policy, ...]:
    """The policies in ``60/min,5000/day``, shortest window first. Raises RatesError."""
    policies = sorted((_policy(part.strip()) for part in text.split(",")), key=lambda policy: policy.window_seconds)
    for shorter, longer in pairwise(policies):
        if shorter.window_seconds == longer.window_seconds:
            raise RatesError(f"two limits for one window in {text!r}. Keep one of them.")
    return tuple(policies)


def parse_plan_tiers(text: str) -> dict[str, str]:
    """``slug=tier,slug=tier`` of CLERK_PLAN_TIERS. Raises RatesError."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    for slug, separator, tier in pairs:
        if not (slug.strip() and separator and tier.strip()):
            raise RatesError(f"cannot read {slug + separator + tier!r}. Write plan=tier, for example pro=pro.")
    return {slug.strip(): tier.strip() for slug, _, tier in pairs}


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry of the ``pla`` claim: ``scope`` is ``u`` (limited per user) or ``o`` (per organisation)."""

    scope: str
    slug: str


def parse_plans(claim: str) -> list[Plan]:
    """The plans in ``u:free_user`` or ``u:free_user,o:pro``; other entries are ignored."""
    pairs = [entry.strip().partition(":") for entry in claim.split(",")]
    return [Plan(scope, slug) for scope, _, slug in pairs if scope in ("u", "o") and is_id(slug)]


def quota_plan(plans: list[Plan], organization_id: str | None) -> Plan | None:
    """The plan that applies: the organisation's while one is active, else the user's."""
    usable = [plan for plan in plans if plan.scope == "u" or organization_id]
    return next((plan for plan in usable if plan.scope == "o"), usable[0] if usable else None)


def tier_of(slug: str, plan_tiers: Mapping[str, str]) -> str:
    """The tier of a plan; an unknown plan is free."""
    return plan_tiers.get(slug, FREE)


def parse_streams(text: str, tiers: Iterable[str]) -> dict[str, int]:
    """THROTTLE_STREAMS (``tier=number;tier=number``) for all ``tiers``. One that ``text`` leaves out keeps its default;
    one without a default has that of free. Raises RatesError."""
    known = set(tiers)
    defaults, given = _numbers(DEFAULT_STREAMS), _numbers(text)
    for tier in given:
        if tier not in known:
            raise _unknown_tier(tier, known)
    return dict.fromkeys(known, defaults[FREE]) | defaults | given


def _numbers(text: str) -> dict[str, int]:
    parts = [part.strip() for part in text.split(";") if part.strip()]
    for part in parts:
        if not re.fullmatch(r"[^=]+=\s*[0-9]{1,6}", part):
            raise RatesError(f"cannot read {part!r}. Write tier=number of streams, for example free=2.")
    pairs = [part.split("=") for part in parts]
    return {tier.strip(): int(number) for tier, number in pairs}


def _unknown_tier(tier: str, known: Iterable[str]) -> RatesError:
    return RatesError(f"{tier!r} is not a tier{_suggestion(tier, known)}. The tiers are {', '.join(sorted(known))}.")


def _parse(text: str) -> dict[str, tuple[Policy, ...]]:
    rates: dict[str, tuple[Policy, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        tier, separator, limits = (piece.strip() for piece in part.partition("="))
        if not (tier and separator and limits):
            raise RatesError(f"cannot read {part!r}. Write tier=limit/window, for example free=60/min.")
        if tier in rates:
            raise RatesError(f"{tier!r} is given twice. Keep one of them.")
        rates[tier] = parse_policies(limits)
    return rates


def _policy(text: str) -> Policy:
    match = _RATE.fullmatch(text)
    if match is None:
        raise RatesError(f"cannot read {text!r}. Write limit/window, for example 60/min, 5000/day or 100/2s:shadow.")
    if match["unit"] not in _UNITS:
        raise RatesError(f"{match['unit']!r} in {text!r} is not a unit of time{_suggestion(match['unit'], _UNITS)}.")
    unit, count, limit = _UNITS[match["unit"]], int(match["count"] or 1), int(match["limit"])
    if not (limit and count):
        raise RatesError(f"{text!r} allows nothing, ever. Both numbers must be at least 1.")
    name = unit if count == 1 else f"{count}-{unit}s"
    return Policy(name, limit, count * _SECONDS[unit], shadow=match["shadow"] is not None)


def _suggestion(word: str, known: Iterable[str] | Mapping[str, str]) -> str:
    close = get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""

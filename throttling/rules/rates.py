"""Reads THROTTLE_RATES: ``tier=60/min,5000/day;tier=…`` becomes policies, or an error that names the typo."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import pairwise

from throttling.rules.records import Policy

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
    """A rate that cannot be used; the message says which and what to write instead."""


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

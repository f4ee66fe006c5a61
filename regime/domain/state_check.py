"""Checks a key under ``argus:regime:`` and explains the mistakes of its writer."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from avo_project.lib.decimals import decimal_of
from regime.domain.freshness import (
    FUTURE_TOLERANCE_SECONDS,
    LIFE_SECONDS,
    OLD_DAYS,
    OLD_SECONDS,
    data_age,
    is_from_backfill,
    known_data_through,
)
from regime.domain.state import DATA_THROUGH, FIELDS, REGIMES, TIMEFRAMES, SymbolError, decode_stamp, valid_symbol

MAX_FIELDS = 1_000
"""A hash with more fields is not read for a check."""

_KNOWN = {*FIELDS, "computed_at", "backfilled_at", DATA_THROUGH.decode()}
_MILLISECONDS = 10**11  # from here on a number of seconds would be a date after the year 5000
_SHOWN = 5
_ISO_DATE = re.compile(rb"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key as Redis holds it. ``name`` is what follows ``argus:regime:``; ``kind`` its type, ``none`` for no key;
    ``fields`` is empty beyond MAX_FIELDS; ``expires_at`` is in Unix seconds, None for never."""

    name: bytes
    kind: str
    count: int
    fields: Mapping[bytes, bytes]
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about the key. An error is a mistake of its writer, a note only good to know."""

    is_error: bool
    text: str


def findings(held: HeldKey, now: float) -> list[Finding]:
    """What a writer does wrong; ``now`` is in Unix seconds."""
    found = [*_of_name(held.name)]
    if held.kind == "none":
        return [*found, _error("There is no such key.")]
    if held.kind != "hash":
        return [*found, _error(f"The key is a {held.kind}. Write a hash, by HSET.")]
    if held.count > MAX_FIELDS:
        return [*found, _error(f"The hash has {held.count:,} fields. A state has at most {len(_KNOWN)}.")]
    return [
        *found,
        *_of_fields(held.fields),
        *_of_scores(held.fields),
        *_of_age(held, now),
        *_of_data(held.fields, now),
    ]


def name_finding(name: bytes) -> str | None:
    """Why a key of this name is never served, None for the name of a symbol."""
    try:
        symbol = valid_symbol(name.decode("ascii"))
    except (UnicodeDecodeError, SymbolError):
        return "The name is no symbol: 1 to 64 printable ASCII characters without space."
    return None if symbol.encode() == name else f"The name is not in upper case. Write to argus:regime:{symbol}."


def misnamed_text(count: int, names: Sequence[bytes]) -> str:
    """So many keys, of which some are named, ``""`` for none."""
    if not count:
        return ""
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    listed = ", ".join(f"argus:regime:{_text(name[:80])}" for name in names)
    return f"{count:,} {'key' if count == 1 else 'keys'} whose name is no symbol in upper case: {listed}{more}"


def _of_name(name: bytes) -> Iterator[Finding]:
    if why := name_finding(name):
        yield _error(why)


def _of_fields(fields: Mapping[bytes, bytes]) -> Iterator[Finding]:
    strangers = sorted(_text(name) for name in fields if _text(name) not in _KNOWN)
    meant = {name: right for name in strangers if (right := _meant(name))}
    for name, right in list(meant.items())[:_SHOWN]:
        yield _error(f"The field {name} is ignored. Name it {right}.")
    if len(meant) > _SHOWN:
        yield _error(f"{len(meant) - _SHOWN} more fields are named in the same way.")
    if others := [name for name in strangers if name not in meant]:
        yield _note(f"Fields that nobody reads: {_some(others)}.")


def _meant(name: str) -> str | None:
    """The field that a writer meant by a name like it, None when there is none."""
    parts = [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part]
    if parts in (["computed", "at"], ["computedat"], ["timestamp"], ["updated", "at"]):
        return "computed_at"
    if parts in (["data", "through"], ["datathrough"]):
        return "data_through"
    if len(parts) == 2 and sum(part in REGIMES for part in parts) == 1:
        regime, timeframe = parts if parts[0] in REGIMES else parts[::-1]
        if timeframe in TIMEFRAMES:
            return f"{regime}:{timeframe}"
    return None


def _of_scores(fields: Mapping[bytes, bytes]) -> Iterator[Finding]:
    given = {name: fields[name.encode()] for name in FIELDS if name.encode() in fields}
    bad = [(name, why) for name, text in given.items() if (why := _score_fault(text))]
    for name, why in bad[:_SHOWN]:
        yield _error(f"{name} {why}.")
    if len(bad) > _SHOWN:
        yield _error(f"{len(bad) - _SHOWN} more scores are no numbers in 0..1.")
    if not given:
        yield _error("There is no score. Their fields are named like bull:1mo.")
    elif len(given) < len(FIELDS):
        yield _note(f"{len(FIELDS) - len(given)} of {len(FIELDS)} scores are not there; answers have null for them.")


def _score_fault(text: bytes) -> str | None:
    score = decimal_of(text)
    if score is None:
        hint = ", with a point for the decimals" if b"," in text else ""
        return f"is {_shown(text)}, not a decimal number in 0..1{hint}"
    if 0.0 <= score <= 1.0:
        return None
    hint = "; divide a percentage by 100" if 1.0 < score <= 100.0 else ""
    return f"is {_shown(text)}, not in 0..1{hint}"


def _of_age(held: HeldKey, now: float) -> Iterator[Finding]:
    text, stamp = held.fields.get(b"computed_at"), decode_stamp(held.fields.get(b"computed_at"))
    marked = decode_stamp(held.fields.get(b"backfilled_at"))
    if text is not None:
        yield from _of_stamp(text, now)
    elif held.expires_at is None or is_from_backfill(held.expires_at, marked):
        yield _error("There is no computed_at, and no expiry of a writer that would tell the age. Write Unix seconds.")
    elif held.expires_at > now + LIFE_SECONDS + 1:
        yield _error(
            f"The key expires {utc_text(held.expires_at)}, more than 86400 s from now, and there is no computed_at. "
            "Write computed_at in Unix seconds, and set the expiry to computed_at + 86400 by EXPIREAT."
        )
    else:
        yield _note("There is no computed_at: the state is as old as its expiry says, a day before it.")
    if held.expires_at is None:
        yield _error("The key has no expiry. Set it with the fields: EXPIREAT to computed_at + 86400.")
    elif stamp is not None and stamp < _MILLISECONDS and held.expires_at > stamp + LIFE_SECONDS + 1:
        yield _error(f"The key expires {utc_text(held.expires_at)}, later than computed_at + 86400.")


def _of_stamp(text: bytes, now: float) -> Iterator[Finding]:
    stamp = decimal_of(text)
    if stamp is None:
        yield _error(f"computed_at is {_shown(text)}, not Unix seconds like 1790000000.")
    elif stamp >= _MILLISECONDS:
        yield _error(f"computed_at is {_shown(text)}, which is not in seconds. Divide milliseconds by 1000.")
    elif stamp > now + FUTURE_TOLERANCE_SECONDS:
        yield _error(f"computed_at is {stamp - now:.0f} s in the future. Correct the clock of the writer.")
    elif stamp <= now - LIFE_SECONDS:
        yield _error(f"computed_at is {utc_text(stamp)}: the state is older than 24 h and expired.")


def _of_data(fields: Mapping[bytes, bytes], now: float) -> Iterator[Finding]:
    text = fields.get(DATA_THROUGH)
    if text is None:
        return
    known = known_data_through(text)
    age_seconds = data_age(known, now)
    if not known:
        hint = " without a time" if _ISO_DATE.match(text) else ""
        yield _error(f"data_through is {_shown(text)}, neither an ISO date like 2026-01-31{hint} nor Unix seconds.")
    elif age_seconds is None:
        yield _error(f"data_through is {_shown(text)}, which is still to come.")
    elif age_seconds > OLD_SECONDS:
        yield _note(f"The data ended more than {OLD_DAYS} days ago: data_through is {_shown(text)}.")


def _error(text: str) -> Finding:
    return Finding(True, text)


def _note(text: str) -> Finding:
    return Finding(False, text)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:80] for name in names[:_SHOWN]) + more


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _shown(text: bytes) -> str:
    return repr(_text(text[:40]))


def utc_text(unix_seconds: float | None) -> str:
    """``2026-01-31 09:30:00 UTC``; ``unknown`` for None and NaN, the number itself where no calendar has it."""
    if unix_seconds is None or math.isnan(unix_seconds):
        return "unknown"
    try:
        return f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return str(unix_seconds)

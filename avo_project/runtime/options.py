"""argparse types of command options, with errors that name the accepted values."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime


def at_least(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A whole number of ``least`` or more, up to ``most``."""

    def whole(text: str) -> int:
        return int(_checked(text, int(text), least, most))

    return whole


def seconds_of_at_least(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A finite number of ``least`` seconds or more, up to ``most``."""

    def seconds(text: str) -> float:
        return _checked(text, float(text), least, most)

    return seconds


def name_of_at_most(characters: int) -> Callable[[str], str]:
    """A name of printable characters, ``characters`` at most."""

    def name(text: str) -> str:
        if not (text.isprintable() and 1 <= len(text) <= characters):
            raise ArgumentTypeError(f"must be 1 to {characters} printable characters")
        return text

    return name


def moment(text: str) -> datetime:
    """An ISO 8601 time, converted to UTC; without an offset it is UTC."""
    given = datetime.fromisoformat(text)
    try:
        return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except OverflowError:
        raise ArgumentTypeError(f"must be between the years 1 and 9999 in UTC, not {text}") from None


def _checked(text: str, number: float, least: float, most: float) -> float:
    if not (math.isfinite(number) and least <= number <= most):
        wanted = f"{least:g} or more" if most == math.inf else f"between {least} and {most}"
        raise ArgumentTypeError(f"must be {wanted}, not {text}")
    return number

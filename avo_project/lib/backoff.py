"""Exponential back-off."""

_MAX_DOUBLINGS = 62


def exponential_seconds(attempt: int, first_seconds: float, longest_seconds: float, factor: float = 2.0) -> float:
    """The pause after failed attempt number ``attempt`` (1 or more): ``first_seconds * factor ** (attempt - 1)``,
    ``longest_seconds`` at most."""
    return min(longest_seconds, first_seconds * factor ** min(attempt - 1, _MAX_DOUBLINGS))

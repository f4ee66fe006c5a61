"""Checks timestamps of a mail server against a limit in every rolling window."""

from collections.abc import Iterable


def most_in_a_window(times: Iterable[float], window_seconds: float) -> int:
    """The largest number of arrivals in any half-open window of that length."""
    ordered, most, first = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window_seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def possible_sends(count: int, window_seconds: float, seconds: float) -> int:
    """The maximum number of sends that a limit allows in ``seconds`` from the first send on."""
    return count * (1 + int(seconds / window_seconds))

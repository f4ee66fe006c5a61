"""The figures of the stream as text for a terminal."""

from collections.abc import Iterator

from signals_app.rules.lag import GroupFigures, StreamFigures


def lag_text(figures: StreamFigures) -> str:
    """One line for the stream, one a group, one a consumer."""
    return "\n".join(_lines(figures))


def _lines(figures: StreamFigures) -> Iterator[str]:
    yield f"{figures.stream}: {figures.length} entries"
    if not figures.groups:
        yield "  no groups yet"
    for group in figures.groups:
        yield (
            f"  {group.name}: {group.pending} pending (oldest {_seconds(group.oldest_pending_seconds)}), "
            f"{lag_words(group)} not delivered (oldest {_seconds(group.oldest_undelivered_seconds)}), "
            f"{drain_words(group)}"
        )
        for consumer in group.consumers:
            state = "alive" if consumer.alive else "no heartbeat"
            yield f"    {consumer.name}: {consumer.pending} pending, idle {consumer.idle_seconds:.1f} s, {state}"


def lag_words(group: GroupFigures) -> str:
    """``12``, ``about 40000`` or ``an unknown number``."""
    if group.lag is None:
        return "an unknown number"
    return str(group.lag) if group.lag_exact else f"about {group.lag}"


def drain_words(group: GroupFigures) -> str:
    """``nothing waits``, ``done in about 12 s`` or ``done at an unknown time``."""
    if group.drain_seconds is None:
        return "done at an unknown time"
    return f"done in about {group.drain_seconds:.0f} s" if group.drain_seconds else "nothing waits"


def _seconds(age_seconds: float | None) -> str:
    return "none" if age_seconds is None else f"{age_seconds:.1f} s"

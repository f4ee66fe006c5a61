"""The figures of the stream as text for a terminal."""

from collections.abc import Iterator

from signals_app import keys
from signals_app.rules.lag import GroupFigures, StreamFigures

_OLD_SECONDS = 60.0  # the age at which watch_signals alerts when nobody told it another


def lag_text(figures: StreamFigures) -> str:
    """One line for the stream, one a group, one a consumer, and what to do about a group that is behind."""
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
            yield f"    {consumer.name}: {consumer.pending} pending, idle {_seconds(consumer.idle_seconds)}, {state}"
        if hint := hint_for(group):
            yield f"    {hint}"


def hint_for(group: GroupFigures) -> str:
    """What an operator may do about a group that nobody works for, or that is behind; empty when it is well.

    A foreign client has no heartbeat: it counts as at work if Redis heard of it lately.
    """
    if not group.has_work:
        return ""
    start = f"consume_signals --group {group.name}"
    if not any(one.alive or (one.idle_seconds or 0.0) < _OLD_SECONDS for one in group.consumers):
        forget = f"; if nobody needs it: signal_groups --forget {group.name}"
        return f"nobody works for it: start {start}{'' if group.name == keys.DEFAULT_GROUP else forget}"
    return f"it is behind: start one more {start}" if group.oldest_seconds > _OLD_SECONDS else ""


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

"""The figures of the stream as text for a terminal."""

from collections.abc import Iterator

from signals_app import keys
from signals_app.rules.lag import ACTIVE_SECONDS, ConsumerFigures, GroupFigures, StreamFigures

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
            idle = _seconds(consumer.idle_seconds)
            yield f"    {consumer.name}: {consumer.pending} pending, idle {idle}, {state_word(group, consumer)}"
        if hint := hint_for(group):
            yield f"    {hint}"


def state_word(group: GroupFigures, consumer: ConsumerFigures) -> str:
    """``alive`` or ``no heartbeat``; a consumer of an external group is ``active`` or ``inactive``."""
    if consumer.alive:
        return "alive"
    if group.kind == "external" and consumer.idle_seconds is not None:
        return "active" if consumer.is_active else "inactive"
    return "no heartbeat"


def hint_for(group: GroupFigures) -> str:
    """What an operator may do about a group that nobody works for, or that is behind; empty when it is well.

    A foreign client has no heartbeat: it counts as at work if Redis heard of it lately. Only a group that
    ``consume_signals`` works for is ever told to start it: elsewhere it would take the other program's signals.
    """
    if not group.has_work:
        return ""
    forget = "" if group.name == keys.DEFAULT_GROUP else f"; if nobody needs it: signal_groups --forget {group.name}"
    is_old = group.oldest_seconds > _OLD_SECONDS
    if any(one.is_active for one in group.consumers):
        return _behind(group) if is_old else ""
    if group.kind == "own":
        return f"nobody works for it: start consume_signals --group {group.name}{forget}"
    if group.kind == "heartbeat":
        return f"none of its consumers sends a heartbeat: start its program{forget}"
    return f"its program has not read for {ACTIVE_SECONDS:.0f} s: start it{forget}" if is_old else ""


def _behind(group: GroupFigures) -> str:
    if group.kind == "own":
        return f"it is behind: start one more consume_signals --group {group.name}"
    return "it is behind: another program reads it, so look there"


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

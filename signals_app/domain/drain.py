"""How long a group will need for what waits, from how fast it has worked lately."""

_SHORTEST_MS = 1_000


def drain_seconds(notes: str, *, handled: int | None, waiting: int | None, now_ms: int) -> float | None:
    """Seconds until nothing waits if nothing is added; None when it is not known, or when the group stands still.

    ``notes`` are those that ``note_pace`` leaves, ``<Unix ms> <entries handled>`` once or twice, older first;
    ``handled`` counts the same entries now.
    """
    if waiting == 0:
        return 0.0
    words = notes.split()
    if len(words) < 2 or handled is None or waiting is None:
        return None
    elapsed_ms, done = now_ms - int(words[0]), handled - int(words[1])
    if elapsed_ms < _SHORTEST_MS or done <= 0:
        return None
    return waiting * elapsed_ms / 1000 / done

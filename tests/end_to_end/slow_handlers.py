"""Handlers for consumers that run as processes of their own; the environment says what they do."""

import os
import random
import time
from pathlib import Path

from signals_app.domain.event import Event


def record_slowly(event: Event) -> None:
    """Takes AVO_TEST_SECONDS, then adds ``<signal number> <process id>`` to the file AVO_TEST_RECORD."""
    begun = Path(os.environ["AVO_TEST_RECORD"]).with_suffix(".begun")
    _append(begun, event)
    time.sleep(float(os.environ["AVO_TEST_SECONDS"]))
    _append(Path(os.environ["AVO_TEST_RECORD"]), event)


def record_in_a_while(event: Event) -> None:
    """Takes up to AVO_TEST_SECONDS by chance, fails now and then, and records as ``record_slowly`` does."""
    time.sleep(random.uniform(0, float(os.environ["AVO_TEST_SECONDS"])))
    if random.random() < 0.05:
        raise RuntimeError("now and then")
    _append(Path(os.environ["AVO_TEST_RECORD"]), event)


def _append(path: Path, event: Event) -> None:
    with path.open("a") as out:
        out.write(f"{int(event.signal_id.replace('-', ''), 16)} {os.getpid()}\n")

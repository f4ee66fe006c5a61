"""What a web process keeps between requests, forgotten; and the limits of callers out of the way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from regime.api import views

_KEPT = (
    views.connected_states,
    views.connected_collection,
    views.collection_answers,
    views.connected_macro,
    views.macro_answers,
    views.conf,
)
_VIEWS = (views.RegimeStateView, views.RegimeCollectionView, views.MacroView, views.MacroSeriesView)


def forget() -> None:
    """As if the process had just started."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.name == "collection-load":
            thread.cancel()
            thread.join()
    for kept in _KEPT:
        kept.cache_clear()


@contextmanager
def fresh_web_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Starts like a new process and leaves nothing behind; no caller is limited."""
    for view in _VIEWS:
        monkeypatch.setattr(view, "throttle_classes", [])
    forget()
    yield
    forget()

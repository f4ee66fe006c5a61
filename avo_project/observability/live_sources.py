"""Who tells the live figures of each role at a scrape, named by dotted path so that only a scrape loads them."""

from collections.abc import Callable, Iterable

from django.utils.module_loading import import_string
from prometheus_client import Metric

LiveSource = Callable[[], Iterable[Metric]]
_paths: dict[str, str] = {}


def register_live_source(role: str, path: str) -> None:
    """``path`` names a function that is called at each scrape and yields the role's gauges; an app calls this when it
    gets ready.
    """
    _paths[role] = path


def live_sources() -> list[tuple[str, LiveSource]]:
    """By role. Raises ImportError for a path that leads nowhere."""
    return [(role, import_string(path)) for role, path in sorted(_paths.items())]

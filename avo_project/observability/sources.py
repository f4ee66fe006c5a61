"""What each role exposes to observability: sampled figures for the charts and live gauges for a scrape.

Roles register dotted paths, so that a process loads a source only when it samples or is scraped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.utils.module_loading import import_string
from prometheus_client import Metric

LiveSource = Callable[[], Iterable[Metric]]


@dataclass(frozen=True, slots=True)
class SampleSource:
    """The figures of ``role`` that are kept over time, in the Redis of ``alias``. ``sample`` may raise RedisError or
    DatabaseError."""

    role: str
    alias: str
    sample: Callable[[], Mapping[str, float]]


_sample_paths: dict[str, str] = {}
_live_paths: dict[str, str] = {}


def register_samples(role: str, path: str) -> None:
    """``path`` names the role's SampleSource. Call it in ``AppConfig.ready``."""
    _sample_paths[role] = path


def sample_sources(roles: Iterable[str] = ()) -> list[SampleSource]:
    """The sources of ``roles``, of all when none is named. Raises KeyError for an unknown role."""
    return [import_string(_sample_paths[role]) for role in roles or _sample_paths]


def register_live_source(role: str, path: str) -> None:
    """``path`` names a function that yields the role's gauges at each scrape. Call it in ``AppConfig.ready``."""
    _live_paths[role] = path


def live_sources() -> list[tuple[str, LiveSource]]:
    """The live sources with their roles, sorted by role. Raises ImportError for an unknown path."""
    return [(role, import_string(path)) for role, path in sorted(_live_paths.items())]

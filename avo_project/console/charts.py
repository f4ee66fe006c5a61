"""The data of a role's charts over one range of time, for the page's script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avo_project.console.registry import Chart, Line, RoleConsole
from avo_project.observability.timeseries import COARSE, FINE, History, Resolution, Sample, downsampled, line


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time: the last ``seconds``, read at one resolution and drawn in steps of ``step_seconds``."""

    seconds: int
    resolution: Resolution
    step_seconds: int


SPANS = {
    "1h": Span(3_600, FINE, 10),
    "24h": Span(86_400, FINE, 120),
    "30d": Span(30 * 86_400, COARSE, 600),
}


def chart_data(console: RoleConsole, span: Span) -> dict[str, Any]:
    """``{"times", "charts": [{"title", "unit", "lines": [{"label", "values"}]}]}``; times in Unix seconds, values None
    where there is no sample. Sends two commands to Redis. May raise RedisError."""
    history = History.connect(console.role, console.alias)
    last = int(history.now()) // span.step_seconds * span.step_seconds
    first = last - span.seconds + span.step_seconds
    samples = history.between(span.resolution, first, last + span.step_seconds - 1)
    if span.step_seconds != span.resolution.step_seconds:
        samples = downsampled(samples, span.step_seconds)
    times = list(range(first, last + 1, span.step_seconds))
    return {"times": times, "charts": [_drawn(chart, samples, times) for chart in console.charts]}


def _drawn(chart: Chart, samples: Sequence[Sample], times: Sequence[int]) -> dict[str, Any]:
    names = sorted({name for sample in samples for name in sample.values})
    lines = [one for wanted in chart.lines for one in _matching(wanted, names)]
    drawn = [{"label": one.label, "values": _rounded(line(samples, one.name, times))} for one in lines]
    return {"title": chart.title, "unit": chart.unit, "lines": drawn}


def _matching(wanted: Line, names: Sequence[str]) -> list[Line]:
    if not wanted.name.endswith("*"):
        return [wanted]
    stem = wanted.name[:-1]
    return [Line(name, f"{wanted.label} {name.removeprefix(stem)}".strip()) for name in names if name.startswith(stem)]


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 3) for value in values]

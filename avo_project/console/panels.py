"""Panels of live figures and charts of sampled ones, and their JSON for the page's script."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.html import format_html

from avo_project.console.registry import Chart, Line, RoleConsole
from avo_project.http.json import dump_json
from avo_project.observability.timeseries import COARSE, FINE, History, Resolution, Sample, downsampled, line

ROW_VALUES = "given"
"""The posted field with the values of a row's button."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One table of live figures; ``note`` says what is normal or how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One panel as rendered HTML; ``id`` is the id of its element."""

    id: str
    title: str
    html: str


def action_button(action: str, label: str, given: Mapping[str, str]) -> str:
    """A cell with a button that starts an action of the page with these values. Its form is outside of the panels, so
    that a refreshed panel needs no CSRF token."""
    return format_html(
        '<button type="submit" form="avo-act" formaction="do/{}/" name="{}" value="{}" aria-label="{} {}">{}</button>',
        action,
        ROW_VALUES,
        urlencode(given),
        label,
        ", ".join(given.values()),
        label,
    )


def fragments(panels: Sequence[Panel]) -> list[Fragment]:
    """The panels as rendered HTML, in their order."""
    return [
        Fragment(f"panel-{number}", panel.title, render_to_string("admin/live_panel.html", {"panel": panel}))
        for number, panel in enumerate(panels, start=1)
    ]


def live_answer(request: HttpRequest, parts: Sequence[Fragment], now: float) -> HttpResponse:
    """``{"as_of", "panels": [{"id", "title", "html"}]}`` with a strong ETag over the panels; 304 when nothing changed.

    ``now`` is in Unix seconds.
    """
    panels = [{"id": part.id, "title": part.title, "html": part.html} for part in parts]
    as_of = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return json_answer(request, {"panels": panels}, {"as_of": as_of})


def json_answer(request: HttpRequest, body: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> HttpResponse:
    """``body`` and ``extra`` as JSON. The strong ETag covers ``body`` only: 304 while it is unchanged."""
    etag = f'"{hashlib.sha256(dump_json(body)).hexdigest()[:32]}"'
    whole = dump_json({**body, **(extra or {})})
    answer = HttpResponse(whole, content_type="application/json", headers={"ETag": etag})
    conditional = get_conditional_response(request, etag=etag, response=answer)
    assert conditional is not None
    return conditional


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

"""Panels of live figures, and their JSON with an ETag for the page's script."""

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

from avo_project.http.json import dump_json

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

"""Draws the depth of the queue over time as an SVG picture."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 900, 180, 24
_COLOURS = ("#417690", "#ba2121", "#70bf2b", "#c4820e", "#79378b", "#44b78b")


def depth_chart(minutes: Sequence[int], lines: Mapping[str, Sequence[int]]) -> str:
    """One line a name over the same ``minutes`` (Unix minutes, ascending). Returns ready HTML; names are escaped."""
    if len(minutes) < 2:
        return "A chart appears once workers have run for two minutes."
    top = max(max(values) for values in lines.values()) or 1
    drawn = [_line(minutes, values, top, _COLOURS[at % len(_COLOURS)]) for at, values in enumerate(lines.values())]
    legend = [
        f'<svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" '
        f'fill="{_COLOURS[at % len(_COLOURS)]}"/></svg> {escape(name)} ({values[-1]}) '
        for at, (name, values) in enumerate(lines.items())
    ]
    hours = (minutes[-1] - minutes[0]) / 60
    axis = f'<text x="2" y="14" font-size="12" fill="currentColor">{top}</text>'
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Touches in the queue" width="100%">'
    return f"{picture}{axis}{''.join(drawn)}</svg><p>{''.join(legend)} over the last {hours:.1f} h</p>"


def _line(minutes: Sequence[int], values: Sequence[int], top: int, colour: str) -> str:
    span = minutes[-1] - minutes[0]
    points = (
        f"{(minute - minutes[0]) / span * WIDTH:.1f},{HEIGHT - value / top * (HEIGHT - MARGIN):.1f}"
        for minute, value in zip(minutes, values, strict=True)
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(points)}"/>'

"""A bar chart of refusals as rectangles, for the admin page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 120
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#9b2c2c")


@dataclass(frozen=True, slots=True)
class Bar:
    """One tier's part of one minute, stacked on the tiers before it."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``legend`` has (tier, colour, total); ``highest`` is the largest sum of one minute."""

    bars: list[Bar]
    legend: list[tuple[str, str, int]]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT


def stacked_bars(series: Mapping[str, Sequence[int]]) -> Chart:
    """``series`` has as many figures for every tier, one a minute, the newest last."""
    colours = {tier: _COLOURS[place % len(_COLOURS)] for place, tier in enumerate(series)}
    minutes = max(map(len, series.values()), default=0)
    highest = max((sum(counts) for counts in zip(*series.values(), strict=True)), default=0)
    bars: list[Bar] = []
    for minute in range(minutes):
        top = float(HEIGHT)
        for tier, counts in series.items():
            height = HEIGHT * counts[minute] / highest if highest else 0.0
            top -= height
            if height:
                title = f"{counts[minute]} {tier}, {minutes - 1 - minute} min ago"
                bars.append(Bar(minute * WIDTH / minutes, top, 0.85 * WIDTH / minutes, height, colours[tier], title))
    legend = [(tier, colours[tier], sum(counts)) for tier, counts in series.items()]
    return Chart(bars, legend, highest)

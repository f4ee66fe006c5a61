"""Samples of a role's figures over time: how they are gathered into steps, and how totals become rates. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

TOTAL = "_total"
"""A name with this in it counts up for ever; what is shown of it is its rate."""

_LARGEST_GAP_STEPS = 6


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one step; ``at`` is its start in Unix seconds."""

    at: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Steps of so many seconds, of which the newest ``kept`` are kept."""

    step_seconds: int
    kept: int

    def step_of(self, moment: float) -> int:
        return int(moment) // self.step_seconds * self.step_seconds


FINE = Resolution(10, 24 * 360)
COARSE = Resolution(600, 30 * 144)


def gathered(samples: Iterable[Sample], step_seconds: int) -> list[Sample]:
    """The samples in wider steps: means of figures, last values of totals."""
    steps: dict[int, list[Sample]] = {}
    for sample in samples:
        steps.setdefault(sample.at // step_seconds * step_seconds, []).append(sample)
    return [Sample(at, _gathered_values(held)) for at, held in steps.items()]


def _gathered_values(samples: Sequence[Sample]) -> dict[str, float]:
    series: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.values.items():
            series.setdefault(name, []).append(value)
    return {name: held[-1] if TOTAL in name else sum(held) / len(held) for name, held in series.items()}


def line(samples: Sequence[Sample], name: str, times: Sequence[int]) -> list[float | None]:
    """The figure ``name`` at each of ``times``, a regular row; None where there is no sample. Of a total its rate a
    second since the sample before, None after a gap or when it began anew."""
    held = {sample.at: sample.values[name] for sample in samples if name in sample.values}
    if TOTAL in name:
        held = _rates(held, (times[1] - times[0] if len(times) > 1 else 1) * _LARGEST_GAP_STEPS)
    return [held.get(moment) for moment in times]


def _rates(totals: Mapping[int, float], largest_gap: int) -> dict[int, float]:
    moments = sorted(totals)
    return {
        later: (totals[later] - totals[earlier]) / (later - earlier)
        for earlier, later in pairwise(moments)
        if later - earlier <= largest_gap and totals[later] >= totals[earlier]
    }

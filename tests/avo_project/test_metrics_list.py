"""The metrics in docs/operations.md are those of /metrics; dashboard and alerts use no others."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from avo_project.observability.metrics import LiveCollector
from tests.avo_project.exposed_metrics import exposed_types

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r"^\| `(avo_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)

pytestmark = pytest.mark.django_db


def documented() -> dict[str, tuple[str, set[str]]]:
    text = (ROOT / "docs" / "operations.md").read_text()
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(text)}


def test_every_metric_is_listed_and_every_listed_metric_exists(redis_of: Any) -> None:
    assert {name: kind for name, (kind, _) in documented().items()} == exposed_types()


def test_the_labels_are_those_of_the_list(redis_of: Any) -> None:
    exposed_types()
    listed = documented()
    for collector, names in REGISTRY._collector_to_names.items():
        name = next((name for name in names if name in listed), None)
        if name is not None:
            assert set(collector._labelnames) == listed[name][1], name  # type: ignore[attr-defined]
    for family in LiveCollector().collect():
        for sample in family.samples:
            assert set(sample.labels) == listed[sample.name][1], sample.name

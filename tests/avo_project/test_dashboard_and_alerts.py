"""Dashboard and alerts use existing metrics and labels."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.avo_project.exposed_metrics import exposed_types, sample_names
from tests.avo_project.test_metrics_list import documented

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"

pytestmark = pytest.mark.django_db


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((DEPLOY / "grafana" / "avo.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def test_every_query_uses_metrics_that_exist(redis_of: Any) -> None:
    known = sample_names(exposed_types())
    for query in queries():
        used = set(re.findall(r"avo_\w+", query))
        assert used, query
        assert used - known == set(), query


def test_every_matcher_and_grouping_is_by_a_label_of_the_metric() -> None:
    labels = {name: held | {"le"} for name, (_, held) in documented().items()}
    for query in queries():
        used = {name for name in labels if re.search(rf"{name.removesuffix('_total')}", query)}
        offered = set().union(*(labels[name] for name in used))
        grouped = {one.strip() for by in re.findall(r"by \(([^)]*)\)", query) for one in by.split(",")}
        matched = set(re.findall(r"[{,](\w+)[=!]", query))
        assert (grouped | matched) - offered == set(), query


def test_every_alert_says_how_bad_it_is_what_it_is_and_what_to_do() -> None:
    headings = re.findall(r"^#+ (.+)$", (DEPLOY.parent / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        document, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert document == "docs/operations.md"
        assert anchor in anchors, rule["alert"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_the_alerts_fire_for_the_cases_of_the_table() -> None:
    cases = Path(__file__).parent / "data" / "alert_rules.yml"
    done = subprocess.run(["promtool", "test", "rules", cases], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_and_places_are_not_taken_twice() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(places) == len(set(places))
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}

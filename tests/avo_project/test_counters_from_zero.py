"""Every counter is exported as 0 before its first event, so that its rate includes that event."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avo_project.observability.middleware import routes
from signals_app.services.samples import sample
from throttling.domain.clerk_token import REASONS

ROOT = Path(__file__).resolve().parent.parent.parent
WEB_PROCESS = """
import avo_project.wsgi
from prometheus_client import REGISTRY
import signals_app.services.processor, outreach.services.counters

for family in REGISTRY.collect():
    if family.name.startswith("avo_") and family.type in ("counter", "histogram"):
        values = [sample.value for sample in family.samples if not sample.name.endswith("_created")]
        print(family.name, len(values), sum(values))
"""


def printed_by(program: str, data_dir: Path) -> list[str]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "avo_project.settings",
        "AVO_DATA_DIR": str(data_dir),
        "THROTTLE_RATES": "free=60/min:shadow,500/day",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_every_counter_of_a_new_process_is_shown_and_is_zero(tmp_path: Path) -> None:
    lines = printed_by(WEB_PROCESS, tmp_path)
    counters = {name: (int(shown), float(total)) for name, shown, total in map(str.split, lines)}
    assert len(counters) > 10
    assert [name for name, (shown, total) in counters.items() if not shown or total] == []
    assert counters["avo_throttle_bad_tokens"][0] == len(REASONS)


def test_the_failures_of_every_route_are_shown() -> None:
    named = routes()
    assert {"none", "root", "admin", "livez", "api/signals", "api/intelligence/regime/<anytext:symbol>"} <= named
    assert not any(route.startswith("admin/") for route in named)


def test_every_reason_of_a_bad_token_is_listed() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "throttling").rglob("*.py"))
    used = re.findall(r'(?:BadTokenError|BadSignatureError|UnknownKeyError)\(\s*"([a-z-]+)"', text)
    assert set(used) == set(REASONS)


@pytest.mark.django_db
def test_the_first_signals_of_a_start_are_in_the_chart(redis_of: object) -> None:
    assert sample()["published_total"] == 0

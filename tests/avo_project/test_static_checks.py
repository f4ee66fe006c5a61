"""Lint, format, types and import contracts. A planted violation must break the build."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.static


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / command[0]), *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command", [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)]
)
def test_the_tool_finds_nothing(command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("regime/api/views.py", "import outreach.models"),
        ("regime/domain/freshness.py", "import redis"),
        ("throttling/domain/policies.py", "import django"),
        ("signals_app/services/consumer.py", "from avo_project import settings"),
        ("avo_project/redis_client/scripts.py", "import regime.keys"),
        ("outreach/store/lanes.py", "import outreach.services.worker"),
        ("regime/services/cycle.py", "import django_redis"),
        ("avo_project/redis_client/urls.py", "import avo_project.console.panels"),
        ("avo_project/observability/sampler.py", "import avo_project.console.registry"),
        ("signals_app/services/publisher.py", "import avo_project.console.registry"),
    ],
)
def test_a_planted_import_breaks_the_build(tmp_path: Path, where: str, line: str) -> None:
    for package in ("avo_project", "regime", "signals_app", "outreach", "throttling"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "sample_data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / where
    planted.write_text(f"{planted.read_text()}\n\ndef planted():\n    {line}\n")
    done = run("lint-imports", "--no-cache", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout

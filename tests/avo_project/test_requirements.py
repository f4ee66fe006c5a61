"""The requirements files pin every package with its extras."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = sorted(ROOT.glob("requirements*.txt"))


def unpinned_extras(requirements: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "unpinned_extras.py"), str(requirements)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("requirements", FILES, ids=lambda path: path.name)
def test_every_required_extra_is_pinned(requirements: Path) -> None:
    """``.ci/run`` asks the same in an environment with the packages for tracing, which this one may lack."""
    done = unpinned_extras(requirements)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "extra", "asker"),
    [
        ("requirements.txt", "redis[hiredis]", "requirements.in"),
        ("requirements-otel.txt", "psycopg[binary]", "requirements.in"),
        ("requirements-dev.txt", "coverage[toml]", "pytest-cov"),
    ],
)
def test_an_extra_that_is_not_pinned_is_named(tmp_path: Path, name: str, extra: str, asker: str) -> None:
    for source in ROOT.glob("requirements*.in"):
        shutil.copy(source, tmp_path)
    package, _, its_extra = extra.rstrip("]").partition("[")
    broken = tmp_path / name
    broken.write_text((ROOT / name).read_text().replace(f"\n{extra}==", f"\n{package}=="))
    done = unpinned_extras(broken)
    assert (done.returncode, done.stdout) == (1, f"{name}: {asker} requires {extra}, pinned without [{its_extra}]\n")

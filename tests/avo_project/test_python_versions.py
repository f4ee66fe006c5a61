"""Every file that names a Python version agrees with ``requires-python``."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
OLDEST, _, END = DECLARED.removeprefix(">=").partition(",<3.")
NEWEST = f"3.{int(END) - 1}"


@pytest.mark.parametrize(
    ("name", "pattern", "versions"),
    [
        ("README.md", r"Python (3\.\d+) to (3\.\d+)", (OLDEST, NEWEST)),
        ("CONTRIBUTING.md", r"Python (3\.\d+) to (3\.\d+)", (OLDEST, NEWEST)),
        ("Makefile", r"--python-version (3\.\d+) ", (OLDEST,)),
        (".ci/with_python", r"\[(3\.\d+)\]=\w+ \[(3\.\d+)\]=\w+", (OLDEST, NEWEST)),
        ("deploy/Dockerfile", r"PYTHON_IMAGE=python:(3\.\d+)-", (NEWEST,)),
        ("pyproject.toml", r'target-version = "(py3\d+)"', (f"py{OLDEST.replace('.', '')}",)),
    ],
)
def test_the_file_names_the_declared_versions(name: str, pattern: str, versions: tuple[str, ...]) -> None:
    found = re.search(pattern, (ROOT / name).read_text())
    assert found is not None
    assert found.groups() == versions

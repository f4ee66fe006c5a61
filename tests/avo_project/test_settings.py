"""Environment variables of settings.py, and the one-line errors of unusable values."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

SETTINGS = Path(__file__).parents[2] / "avo_project" / "settings.py"
DATA = Path(__file__).parent / "data"
TAKEN = json.loads((DATA / "taken_variables.json").read_text())
REFUSED = json.loads((DATA / "refused_variables.json").read_text())


def settings_with(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


@pytest.mark.parametrize(("variables", "message"), REFUSED, ids=[json.dumps(variables) for variables, _ in REFUSED])
def test_an_unusable_variable_is_refused_in_one_line(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as stopped:
        settings_with(variables, monkeypatch)
    assert stopped.value.code == message


@pytest.mark.parametrize(("variables", "path", "value"), TAKEN, ids=[json.dumps(variables) for variables, *_ in TAKEN])
def test_a_usable_variable_is_taken(
    variables: dict[str, str], path: list[str], value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = settings_with(variables, monkeypatch)
    for name in path:
        found = found[name]
    assert found == value

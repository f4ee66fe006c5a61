"""Documents agree with the code: key names, environment variables, commands."""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("avo_project", "regime", "signals_app", "outreach", "throttling")


def keys_in_code(module: ModuleType) -> set[str]:
    named = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    constants = {value for value in named if re.fullmatch(r"\S+:[^\s*:]+", value)}
    functions = [
        one for _, one in inspect.getmembers(module, inspect.isfunction) if one.__annotations__["return"] is str
    ]
    return {blanked(key) for key in constants | {built(one) for one in functions}}


def built(key: object) -> str:
    assert callable(key)
    return str(key(**{name: f"<{name}>" for name in inspect.signature(key).parameters}))


def blanked(key: str) -> str:
    return re.sub(r"<[^>]*>", "<>", key)


def keys_in_document() -> set[str]:
    tables = re.findall(r"^\| key \| type \|.*\n((?:\|.*\n)+)", (ROOT / "docs" / "keys.md").read_text(), re.MULTILINE)
    return {blanked(key) for table in tables for key in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)}


@pytest.mark.parametrize("app", APPS)
def test_every_key_is_documented(app: str) -> None:
    assert keys_in_code(importlib.import_module(f"{app}.keys")) - keys_in_document() == set()


def test_every_documented_key_exists() -> None:
    everywhere = set().union(*(keys_in_code(importlib.import_module(f"{app}.keys")) for app in APPS))
    assert keys_in_document() - everywhere == set()


def test_every_variable_the_settings_read_is_documented() -> None:
    read = set(re.findall(r'env(?:\.\w+)?\(\s*"([A-Z_]+)"', (ROOT / "avo_project" / "settings.py").read_text()))
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert read - documented == set()


def test_every_command_of_the_apps_is_documented() -> None:
    ours = {name for name, app in get_commands().items() if app in APPS}
    documents = " ".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert {name for name in ours if f"`{name}" not in documents} == set()

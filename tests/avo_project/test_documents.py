"""Documents agree with the code: key names, environment variables, commands."""

import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from django.core.management import get_commands, load_command_class

from avo_project.runtime.conf import Conf
from outreach.conf import OutreachConf
from outreach.services.worker import _GRACE_SECONDS
from regime.conf import RegimeConf
from signals_app.conf import SignalsConf
from throttling.conf import ThrottlingConf

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


CONFS: tuple[type[Conf], ...] = (RegimeConf, SignalsConf, OutreachConf, ThrottlingConf)


def documented_settings() -> dict[str, str]:
    """Setting to default, as the table of settings has them."""
    rows = re.findall(r'^\| `(\w+\["\w+"\])` \| (.*?) \| ', (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def settings_with(value: str) -> dict[str, str]:
    """Setting to what ``value``, a pattern, finds in ``settings.py``."""
    source = (ROOT / "avo_project" / "settings.py").read_text()
    bodies = re.findall(r"^(\w+): dict\[str, Any\] = \{$(.*?)^\}$", source, re.MULTILINE | re.DOTALL)
    return {
        f'{name}["{key}"]': found
        for name, body in bodies
        for key, found in re.findall(rf'^    "(\w+)": {value}', body, re.MULTILINE)
    }


def test_every_setting_has_its_row_or_its_variable() -> None:
    names = {f'{conf.NAME}["{spec.name.upper()}"]' for conf in CONFS for spec in fields(conf)}  # type: ignore[arg-type]
    assert documented_settings().keys() == names - settings_with(r"(env\.|_hard_cap)").keys()


@pytest.mark.parametrize("conf", CONFS)
def test_the_defaults_of_the_settings_are_those_of_the_code(conf: type[Conf]) -> None:
    documented, given = documented_settings(), settings_with('"(.*)"')
    for spec in fields(conf):  # type: ignore[arg-type]
        name = f'{conf.NAME}["{spec.name.upper()}"]'
        value, shown = given.get(name, spec.default), documented.get(name)
        if shown and isinstance(value, int | float):
            assert shown == f"{value:,.10g}", name
        elif shown and isinstance(value, str):
            assert shown == (f"`{value}`" if value else "none"), name


def test_every_command_of_the_apps_is_documented() -> None:
    ours = {name for name, app in get_commands().items() if app in APPS}
    documents = " ".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert {name for name in ours if f"`{name}" not in documents} == set()


def test_the_map_has_every_shared_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("\n## Shared packages\n")[2].partition("\n## ")[0]
    packages = {path.parent.name for path in (ROOT / "avo_project").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == packages - {"management", "migrations"}


def test_the_time_that_a_stopping_worker_waits_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    waits = re.findall(r"waits up to (\d+) s for the sends in progress|did not answer\s+within (\d+) s", page)
    assert waits == [(f"{_GRACE_SECONDS:g}", ""), ("", f"{_GRACE_SECONDS:g}")]
    assert f"wait up to {_GRACE_SECONDS:g} seconds" in load_command_class("outreach", "outreach_worker").help

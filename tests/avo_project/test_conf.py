"""The settings of every app: unknown names, wrong types and sizes are errors when a process starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from avo_project.runtime.conf import Conf, ConfError
from avo_project.runtime.role_config import RoleConfig, declared
from regime.conf import RegimeConf

CASES = json.loads((Path(__file__).parent / "data" / "app_settings.json").read_text())


def config_by_setting(name: str) -> RoleConfig:
    [role] = [role for role, conf in declared("conf").items() if name == conf.NAME]
    return next(config for config in apps.get_app_configs() if isinstance(config, RoleConfig) and config.role == role)


def test_every_role_declares_its_settings() -> None:
    assert [conf.NAME for conf in declared("conf").values()] == ["REGIME", "SIGNALS", "OUTREACH", "THROTTLING"]
    assert all(issubclass(conf, Conf) for conf in declared("conf").values())


@pytest.mark.parametrize(("name", "change", "message"), CASES)
def test_an_unusable_setting_stops_the_start(settings: Any, name: str, change: Any, message: str) -> None:
    setattr(settings, name, getattr(settings, name) | change)
    with pytest.raises(SystemExit, match=message):
        config_by_setting(name).ready()


def test_a_required_setting(settings: Any) -> None:
    settings.SIGNALS = {}
    with pytest.raises(SystemExit, match=r"^SIGNALS: CHANGES is required\.$"):
        config_by_setting("SIGNALS").ready()


def test_settings_are_validated_once_and_again_after_a_change(settings: Any) -> None:
    settings.REGIME = {"WRITE_BATCH": 7}
    first = RegimeConf.load()
    assert (first.write_batch, first.write_calls_in_flight) == (7, RegimeConf().write_calls_in_flight)
    assert RegimeConf.load() is first
    settings.REGIME = {"WRITE_BATCH": -7}
    with pytest.raises(ConfError):
        RegimeConf.load()

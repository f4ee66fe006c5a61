"""Folder names with URL syntax: each is one folder, with its own database, server and mail."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from avo_project import environment
from avo_project.embedded_redis.folder import ServerFolder
from avo_project.embedded_redis.server import EmbeddedServer
from avo_project.redis_client.clients import RoleConnectionFactory
from avo_project.redis_client.roles import cache_settings
from avo_project.redis_client.urls import parse_redis_url
from tests.avo_project.test_embedded_database import start

DATA = Path(__file__).parent / "data"
NAMES = json.loads((DATA / "data_folders.json").read_text())
URLS = json.loads((DATA / "url_paths.json").read_text())


def settings_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What settings.py makes of ``AVO_DATA_DIR``: each place by its name."""
    monkeypatch.setenv("AVO_DATA_DIR", os.fspath(folder))
    for variable in ("DATABASE_URL", "EMAIL_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    env, chosen = environment.Environment(), environment.data_dir(Path("unused"))
    return {
        "folder": chosen,
        "key": environment.stored_secret_key(chosen),
        "database": Path(env.database(default=chosen / "db.sqlite3")["NAME"]),
        "mail": Path(env.mail(default=chosen / "mail")["EMAIL_FILE_PATH"]),
        "caches": cache_settings({}, chosen),
    }


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_kept_in_the_folder_of_that_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings_of(tmp_path / name, monkeypatch)
    assert [made.name for made in tmp_path.iterdir()] == [name.rstrip("/")]
    assert found["folder"] == tmp_path / name
    assert (found["database"].parent, found["mail"].parent) == (tmp_path / name, tmp_path / name)
    [url] = found["caches"]["regime"]["LOCATION"]
    assert parse_redis_url(url).path == str(ServerFolder.of(tmp_path / name).socket_path)


@pytest.mark.real_server
def test_each_folder_has_a_server_and_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for name in NAMES:
        found = settings_of(tmp_path / name, monkeypatch)
        keys.add(found["key"])
        options, [url] = found["caches"]["regime"]["OPTIONS"], found["caches"]["regime"]["LOCATION"]
        redis = RoleConnectionFactory(options).connect(url)
        assert redis.incr("counter") == 1, name
        assert (tmp_path / name / "appendonlydir").is_dir()
        redis.close()
        assert EmbeddedServer(tmp_path / name).stop_if_unused()
    assert len(keys) == len(NAMES)


@pytest.mark.parametrize("names", [("c#1", "c#2"), ("q?db=7", "p%20q")])
def test_commands_make_a_database_in_each(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        assert start(tmp_path / name).communicate(timeout=120)[0] == "0\n"
        assert (tmp_path / name / "db.sqlite3").exists()
    assert {made.name for made in tmp_path.iterdir()} == set(names)


@pytest.mark.parametrize("case", URLS, ids=lambda case: case["url"])
def test_a_path_in_a_url_is_read_as_it_stands_or_refused_with_what_to_write(
    case: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(case["variable"], case["url"])
    env = environment.Environment()
    readers = {
        "DATABASE_URL": lambda: env.database(default=Path("/unused"))["NAME"],
        "EMAIL_URL": lambda: env.mail(default=Path("/unused"))["EMAIL_FILE_PATH"],
        "REDIS_URL": lambda: parse_redis_url(case["url"]).path,
    }
    if "error" in case:
        with pytest.raises((SystemExit, ValueError), match=case["error"]) as refused:
            readers[case["variable"]]()
        assert "12#34" not in str(refused.value)
    else:
        assert readers[case["variable"]]() == case["path"]


def test_the_home_of_nobody_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVO_DATA_DIR", "~no-such-user/avo")
    with pytest.raises(SystemExit, match=r"^AVO_DATA_DIR: starts with ~"):
        environment.data_dir(Path("/unused"))

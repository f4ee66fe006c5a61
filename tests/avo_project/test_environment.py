"""The data folder and the files stored in it."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from avo_project import environment
from avo_project.environment import Environment


def test_the_secret_key_is_made_once_even_by_processes_that_start_together(tmp_path: Path) -> None:
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(environment.stored_secret_key(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 50
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_data_folder_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AVO_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(SystemExit, match=r"^AVO_DATA_DIR: cannot create .*: Not a directory\. Choose a folder"):
        environment.data_dir(tmp_path)


def test_the_data_folder_defaults_to_the_one_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVO_DATA_DIR", "")
    assert environment.data_dir(tmp_path / "var") == tmp_path / "var"
    assert (tmp_path / "var").is_dir()


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> environment.Environment:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return environment.Environment()


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    env = read(monkeypatch, DATABASE_URL="", EMAIL_URL="", THROTTLE_NUM_PROXIES="", DJANGO_DEBUG="", CLERK_ISSUER="")
    assert env.database(default=Path("/data/db.sqlite3"))["NAME"] == "/data/db.sqlite3"
    assert env.mail(default=Path("/data/mail"))["EMAIL_FILE_PATH"] == "/data/mail"
    assert env.int("THROTTLE_NUM_PROXIES", default=0) == 0
    assert env.bool("DJANGO_DEBUG", default=False) is False
    assert env.http_url("CLERK_ISSUER") == ""


def test_origins_are_read_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    env = read(monkeypatch, CORS_ALLOWED_ORIGINS="https://App.avo.test/, http://localhost:5173,http://[::1]:80")
    assert env.origins("CORS_ALLOWED_ORIGINS") == ["https://app.avo.test", "http://localhost:5173", "http://[::1]:80"]
    assert env.origins("UNSET") == []


@pytest.mark.parametrize("value", ["yes", "True", "1", "on"])
def test_the_usual_words_for_true_are_read(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert read(monkeypatch, DJANGO_DEBUG=value).bool("DJANGO_DEBUG", default=False) is True


@pytest.mark.parametrize(
    ("name", "value", "reader"),
    [
        ("DJANGO_DEBUG", "maybe", lambda env: env.bool("DJANGO_DEBUG", default=False)),
        ("THROTTLE_NUM_PROXIES", "abc", lambda env: env.int("THROTTLE_NUM_PROXIES", default=0)),
        ("CLERK_ISSUER", "notaurl", lambda env: env.http_url("CLERK_ISSUER")),
        *(
            ("CORS_ALLOWED_ORIGINS", origins, lambda env: env.origins("CORS_ALLOWED_ORIGINS"))
            for origins in (
                "*",
                "null",
                "app.avo.test",
                "https://avo.test/app",
                "https://u:sesame@avo.test",
                "https://*.avo.test",
            )
        ),
        *(
            ("DATABASE_URL", url, lambda env: env.database(default=Path("/x")))
            for url in (
                "foo",
                "mysql://u:sesame@h/d",
                "redis+sentinel://u:sesame@h:26379",
                "postgres://",
                "postgres://h:abc/d",
            )
        ),
        *(
            ("EMAIL_URL", url, lambda env: env.mail(default=Path("/x")))
            for url in ("foo", "smtp://u:sesame@:25", "smtp://u:sesame@h:abc", "imap://u:sesame@h")
        ),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reader: Callable[[environment.Environment], object]
) -> None:
    env = read(monkeypatch, **{name: value})
    with pytest.raises(SystemExit, match=rf"^{name}: ") as stopped:
        reader(env)
    assert "sesame" not in str(stopped.value)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize("given", ["0", "-2", "two", "1.5"])
def test_a_whole_number_that_is_none_is_refused_by_name(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = read(monkeypatch, WEB_CONCURRENCY=given)
    with pytest.raises(SystemExit, match=r"^WEB_CONCURRENCY: "):
        env.whole_number("WEB_CONCURRENCY", default=2)


@pytest.mark.parametrize("there", [False, True], ids=["made", "made by an older version"])
def test_the_database_is_readable_by_its_owner_alone(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    database, journal = tmp_path / "db.sqlite3", tmp_path / "db.sqlite3-wal"
    if there:
        for file in (database, journal):
            file.touch()
            file.chmod(0o644)
    Environment().database(default=database)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kept (number)")
        connection.commit()
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"db.sqlite3", "db.sqlite3-wal"} <= modes.keys()


def test_the_folder_of_mail_files_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    Environment().mail(default=tmp_path / "mail")
    assert (tmp_path / "mail").stat().st_mode & 0o777 == 0o700


def test_a_database_that_cannot_be_made_is_told_by_its_first_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "file").touch()
    settings = Environment().database(default=tmp_path / "file" / "db.sqlite3")
    assert settings["NAME"] == str(tmp_path / "file" / "db.sqlite3")

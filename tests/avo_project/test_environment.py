"""The data folder and what is kept in it."""

import threading
from pathlib import Path

import pytest

from avo_project import environment


def test_the_secret_key_is_made_once_even_by_processes_that_start_together(tmp_path: Path) -> None:
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(environment.kept_secret_key(tmp_path))) for _ in range(8)]
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
    with pytest.raises(SystemExit, match=r"^AVO_DATA_DIR: cannot make .*: Not a directory\. Name a folder"):
        environment.data_dir(tmp_path)


def test_the_data_folder_defaults_to_the_one_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVO_DATA_DIR", "")
    assert environment.data_dir(tmp_path / "var") == tmp_path / "var"
    assert (tmp_path / "var").is_dir()

"""The database of a new clone: any command finds its tables, also when several start at once."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db import connection

COUNT = "from django.contrib.auth.models import User; print(User.objects.count())"


def start(data_dir: Path, database_url: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "AVO_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "avo_project.settings"}
    environment["DATABASE_URL"] = database_url
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", COUNT]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_three_commands_at_once_on_an_empty_folder_all_find_their_tables(tmp_path: Path) -> None:
    started = [start(tmp_path) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in started]
    assert [output for output, _ in ended] == ["0\n"] * 3, ended
    assert sum("migrating" in errors for _, errors in ended) == 1, "one of them migrates"


def test_an_up_to_date_database_is_left_alone(tmp_path: Path) -> None:
    start(tmp_path).communicate(timeout=120)
    output, errors = start(tmp_path).communicate(timeout=120)
    assert (output, errors) == ("0\n", "")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the suite runs on PostgreSQL too (.ci/run)")
def test_three_commands_at_once_on_an_empty_postgresql_all_find_their_tables(tmp_path: Path) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS avo_empty")
        server.execute("CREATE DATABASE avo_empty")
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + "/avo_empty"
    started = [start(tmp_path, url) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in started]
    assert [output for output, _ in ended] == ["0\n"] * 3, ended
    assert sum("creating the tables" in errors for _, errors in ended) == 1, "one of them migrates"

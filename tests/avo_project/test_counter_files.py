"""Counter files of workers: one per running worker, continued by its successor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avo_project.observability import counter_files

COUNT = """
from avo_project.observability import counter_files
counter_files.claim()
from prometheus_client import Counter
Counter("seen", "Seen").inc(2)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_with_its_server(temporary: Path) -> None:
    with counter_files.folder() as made:
        assert Path(made).is_dir()
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_server_that_was_killed_goes_with_the_next_start(temporary: Path) -> None:
    left = temporary / "avo-metrics-left"
    left.mkdir()
    (left / "server.lock").touch()
    foreign = temporary / "avo-metrics-foreign"
    foreign.mkdir()
    with counter_files.folder() as first, counter_files.folder() as second:
        assert not left.exists()
        assert foreign.exists(), "what has no lock file is not ours"
        assert Path(first).exists(), "its server runs"
        assert Path(second).exists()


def test_one_worker_after_the_other_counts_on_in_one_file() -> None:
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess

    with counter_files.folder() as made:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": made}
        for _ in range(3):
            subprocess.run([sys.executable, "-c", COUNT], check=True, env=environment)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, made)  # type: ignore[no-untyped-call]
        assert b"seen_total 6.0" in generate_latest(registry)
        assert len(list(Path(made).glob("*.db"))) == 1

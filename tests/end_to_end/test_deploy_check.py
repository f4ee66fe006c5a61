"""``manage.py check --deploy`` as it is run before a release."""

import subprocess
import sys

from tests.end_to_end.system import ROOT, data_folder, environment_for

IN_PRODUCTION = {
    "DJANGO_SECRET_KEY": "k7!pQ2z9vX4mB8nC1sD6fG3hJ5wE0rT-yU_iO~aLkMqZxVbN%7dQ9",
    "DJANGO_ALLOWED_HOSTS": "avo.example",
    "DJANGO_HTTPS": "on",
    "THROTTLE_NUM_PROXIES": "1",
    "METRICS_TOKEN": "only-prometheus-knows-this",
}


def check(**variables: str) -> subprocess.CompletedProcess[str]:
    with data_folder() as folder:
        return subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=ROOT,
            env=environment_for(folder) | variables,
            capture_output=True,
            text=True,
            check=False,
        )


def test_a_proper_environment_passes_without_a_word() -> None:
    done = check(**IN_PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "System check identified no issues (2 silenced).\n"


def test_an_empty_environment_is_told_what_is_missing() -> None:
    done = check()
    assert done.returncode == 1
    assert all(identifier in done.stderr for identifier in ("avo.W002", "avo.W003", "avo.W004"))
    assert "avo.E" not in done.stderr  # it is safe where it is

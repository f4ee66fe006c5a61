"""The modules that a command for cron and probes imports (``bench/command_start.py`` has the cost)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

HEAVY = (
    "numpy",
    "httpx",
    "requests",
    "psycopg",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "jwt",
    "standardwebhooks",
    "drf_spectacular.openapi",
    "rest_framework.views",
    "rich",
    "granian",
    "avo_project.urls",
    "avo_project.observability.metrics",
    "signals_app.admin.pages",
    "regime.admin.console",
    "throttling.services.process",
    "prometheus_client",
)
WITH_REDIS_ALONE = ("django.contrib.admin", "rest_framework", "throttling.conf", "outreach.models")
PROGRAM = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules))
runpy.run_path("manage.py", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("command", "unused"),
    [("help", ("redis", "hiredis")), ("outreach_forecast", ())]
    + [(command, WITH_REDIS_ALONE) for command in settings.REDIS_COMMANDS if command != "backfill_regime_ttl"],
)
def test_it_loads_nothing_heavy(command: str, unused: tuple[str, ...], tmp_path: Path) -> None:
    """Without a Redis, which is asked when everything is loaded."""
    environment = {
        **os.environ,
        "AVO_DATA_DIR": str(tmp_path),
        "REDIS_URL": f"unix://{tmp_path}/none.sock",
        "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "avo_project.settings",
    }
    run = [sys.executable, "-c", PROGRAM, *command.split()]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"django.core.management", "avo_project.apps"} <= loaded, done.stderr
    assert loaded.isdisjoint({*HEAVY, *unused}), sorted(loaded.intersection({*HEAVY, *unused}))


@pytest.mark.real_server
@pytest.mark.parametrize(
    "command", [*settings.REDIS_COMMANDS, "signal_groups --forget forgotten --yes", "backfill_regime_ttl --dry-run"]
)
def test_a_command_that_loads_one_app_works(command: str, tmp_path: Path, redis_of: Any) -> None:
    redis_of("signals").xgroup_create("signals:live", "forgotten", "0", mkstream=True)
    socket = redis_of("signals").connection_pool.connection_kwargs["path"]
    project = {"AVO_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "avo_project.settings"}
    environment = {**os.environ, **project, "REDIS_URL": f"unix://{socket}"}
    run = [sys.executable, "manage.py", *command.split()]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_web_server_loads_every_route_before_its_first_request(tmp_path: Path) -> None:
    environment = {**os.environ, "AVO_DATA_DIR": str(tmp_path), "REDIS_URL": f"unix://{tmp_path}/none.sock"}
    program = "import sys; import avo_project.asgi; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert {"avo_project.urls", "signals_app.admin.pages"} <= set(done.stdout.splitlines()[-1].split())


def test_check_still_looks_at_every_route_and_admin_page(tmp_path: Path) -> None:
    environment = {**os.environ, "AVO_DATA_DIR": str(tmp_path), "REDIS_URL": f"unix://{tmp_path}/none.sock"}
    run = [sys.executable, "-c", PROGRAM, "check"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert {"avo_project.checks", "avo_project.urls", "signals_app.admin.pages"} <= set(
        done.stdout.splitlines()[-1].split()
    )

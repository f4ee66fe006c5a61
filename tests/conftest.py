"""Fixtures every test shares: a real server, emptied; a clean process-wide state; users."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django_redis import get_redis_connection
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.doubles import FixedClock
from tests.settings import REDIS_KIND, TEST_FOLDER

# A test is as slow as the machine is busy; what hangs is ended by pytest-timeout. A change is judged by the same
# examples each time; `--hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("avo", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("avo")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what cannot be had here: processes to kill from fakeredis, minutes from a short run."""
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker("end_to_end")
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    if item.get_closest_marker("long") and os.environ.get("AVO_CHAOS") != "long":
        return True
    needs_processes = item.get_closest_marker("real_server") or item.get_closest_marker("end_to_end")
    return REDIS_KIND == "fake" and needs_processes is not None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[None]:
    """Starts Debian's redis-server when it is selected; the embedded one starts automatically."""
    if REDIS_KIND != "debian":
        yield
        return
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not on the PATH: apt-get install redis-server")
        pytest.skip("redis-server is not on the PATH")
    socket = TEST_FOLDER / "debian.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(TEST_FOLDER)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        Redis(unix_socket_path=str(socket), retry=Retry(ConstantBackoff(0.05), 200)).ping()
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def redis_of(redis_server: None) -> Any:
    """``redis_of("signals")`` is the raw client of a role; all roles share one server, emptied before the test."""
    get_redis_connection("default").flushall()
    return get_redis_connection


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def operator(django_user_model: Any, db: None) -> Any:
    """A superuser."""
    return django_user_model.objects.create_superuser("operator", password="operator")


@pytest.fixture
def operator_client(client: Any, operator: Any) -> Any:
    client.force_login(operator)
    return client


@pytest.fixture
def mail_folder() -> Any:
    return settings.EMAIL_FILE_PATH

"""One running system for all tests that only look at it."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.system import STARTS_WITHIN_SECONDS, System, data_folder, eventually, start_system


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    with data_folder() as folder:
        running = start_system(folder)
        try:
            eventually(lambda: running.get("/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()

"""A console of its own for the browser: the web process alone over seeded states, so that nothing moves by itself."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, expect, sync_playwright

from tests.end_to_end.browser.desk import PATIENT_MS, Desk
from tests.end_to_end.system import (
    ROOT,
    STARTS_WITHIN_SECONDS,
    WEB_SERVER,
    System,
    data_folder,
    environment_for,
    eventually,
    free_port,
    manage,
)

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = "tests.end_to_end.browser.patient_settings"
SEED = "from tests.end_to_end.browser.seed import seed; seed()"


@pytest.fixture(scope="session")
def console() -> Iterator[System]:
    with data_folder() as folder:
        environment = environment_for(folder) | {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": SETTINGS}
        manage(environment, "shell", "-c", SEED)
        port = free_port()
        ours = environment | {"PORT": str(port), "AVO_LOG_FORMAT": "text"}
        process = subprocess.Popen(WEB_SERVER, cwd=ROOT, env=ours, stdout=subprocess.DEVNULL, text=True)
        system = System(folder, port, process, ours)
        try:
            eventually(lambda: system.get("/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            yield system
        finally:
            if process.poll() is None:
                system.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file of tests: while it lives, its event loop runs, which other tests must not meet."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not on the PATH: apt-get install chromium")
        pytest.skip("chromium is not on the PATH")
    expect.set_options(timeout=PATIENT_MS)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=QUIET) as browser:
        yield browser


@pytest.fixture(scope="module")
def contexts() -> dict[str, BrowserContext]:
    """Each user's, signed in."""
    return {}


@pytest.fixture(scope="session")
def sessions() -> dict[str, StorageState]:
    """Each user's cookies."""
    return {}


@pytest.fixture
def desk(
    browser: Browser, console: System, contexts: dict[str, BrowserContext], sessions: dict[str, StorageState]
) -> Iterator[Desk]:
    desk = Desk(browser, f"http://127.0.0.1:{console.port}", contexts, sessions)
    try:
        yield desk
    finally:
        complaints = desk.close()
    assert complaints == []

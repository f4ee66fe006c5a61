"""The pages that people use, in a real browser: they work with debug off, without a CDN and without a console error."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests.end_to_end.system import System

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def page(system: System) -> Iterator[Page]:
    """A page that must neither complain nor ask any other host for anything."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not on the PATH: apt-get install chromium")
        pytest.skip("chromium is not on the PATH")
    complaints: list[str] = []

    def note_foreign(request: Request) -> None:
        if not request.url.startswith((f"http://127.0.0.1:{system.port}/", "data:", "blob:")):
            complaints.append(f"asked {request.url}")

    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET) as browser:
        page = browser.new_page(base_url=f"http://127.0.0.1:{system.port}")
        page.on("request", note_foreign)
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.text} {message.location}") if message.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    assert complaints == []


def log_in(page: Page, system: System) -> None:
    page.goto("/admin/")
    page.fill("#id_username", "operator")
    page.fill("#id_password", (system.data_dir / "operator_password").read_text())
    page.click("input[type=submit]")


def test_the_api_documentation_lists_the_routes(page: Page) -> None:
    page.goto("/api/docs")
    page.get_by_text("/api/intelligence/regime/{symbol}").first.wait_for()


def test_the_admin_index_leads_to_every_live_page(page: Page, system: System) -> None:
    log_in(page, system)
    for name in ("Regime cache", "Signal stream", "Outreach queue", "Rate limits"):
        page.goto("/admin/")
        page.locator("#content-main").get_by_role("link", name=name, exact=True).last.click()
        assert page.locator("#content-main table").count() > 0, name
        assert page.locator(".errornote").count() == 0, name

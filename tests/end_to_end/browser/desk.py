"""One browser over one running console: pages for a user, and everything they complained about."""

import re
from collections.abc import Sequence

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, StorageState

from tests.end_to_end.system import ROOT

SCREENSHOTS = ROOT / "var" / "screenshots"
PASSWORD = "a long enough pass phrase"
PATIENT_MS = 30_000
PAGES = {
    "regime": "/admin/regime/regimecache/",
    "signals": "/admin/signals_app/livestream/",
    "outreach": "/admin/outreach/outreachqueue/",
    "throttling": "/admin/throttling/ratelimits/",
}


class Desk:
    """Opens pages of one console. Nothing on them may fail or ask another host, but what a test says it expects.
    ``contexts`` holds that of each user between the tests of a file, so that nobody loads the styles twice, and
    ``sessions`` between files, so that nobody logs in twice."""

    def __init__(
        self,
        browser: Browser,
        address: str,
        contexts: dict[str, BrowserContext],
        sessions: dict[str, StorageState],
    ) -> None:
        self._browser = browser
        self._address = address
        self._contexts = contexts
        self._sessions = sessions
        self._pages: list[Page] = []
        self._expected: list[str] = []
        self._complaints: list[str] = []

    def page(self, user: str) -> Page:
        """A page of the user, signed in."""
        if user not in self._contexts:
            self._contexts[user] = self._context(self._session(user))
        return self._watched(self._contexts[user])

    def apart(self, user: str = "") -> Page:
        """A page in a context of its own, which may have another clock; signed in as ``user`` where one is named."""
        return self._watched(self._context(self._session(user) if user else None))

    def _session(self, user: str) -> StorageState:
        if user not in self._sessions:
            page = self.apart()
            log_in(page, user, PASSWORD)
            self._sessions[user] = page.context.storage_state()
        return self._sessions[user]

    def _context(self, session: StorageState | None) -> BrowserContext:
        return self._browser.new_context(base_url=self._address, storage_state=session)

    def _watched(self, context: BrowserContext) -> Page:
        context.set_default_timeout(PATIENT_MS)
        page = context.new_page()
        self._pages.append(page)
        page.on("response", self._note_answer)
        page.on("console", lambda said: self._note(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: self._note(f"script: {error}"))
        page.on("requestfailed", lambda one: self._note(f"failed: {one.url} {one.failure}"))
        return page

    def expect(self, *patterns: str) -> None:
        """Complaints that belong to the test."""
        self._expected += patterns

    def close(self) -> Sequence[str]:
        """What was complained about and not expected."""
        for page in self._pages:
            context = page.context
            page.close()
            if context not in self._contexts.values():
                context.close()
        return [one for one in self._complaints if not any(re.search(pattern, one) for pattern in self._expected)]

    def _note(self, complaint: str) -> None:
        if "ERR_ABORTED" not in complaint:  # a refresh under way while the page was left
            self._complaints.append(complaint)

    def _note_answer(self, answer: Response) -> None:
        if not answer.url.startswith((f"{self._address}/", "data:", "blob:")):
            self._note(f"asked {answer.url}")
        if answer.status >= 400:
            self._note(f"status {answer.status}: {answer.url}")


def log_in(page: Page, user: str, password: str) -> None:
    page.goto("/admin/")
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.click("input[type=submit]")
    page.locator("#user-tools").wait_for()


def tab_to(page: Page, name: str) -> None:
    """Tabs on until the control with this name has the focus."""
    named = """document.activeElement.ariaLabel || document.activeElement.labels?.[0]?.textContent
        || document.activeElement.textContent || ''"""
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate(named).strip() == name:
            return
    pytest.fail(f"no Tab leads to {name}")


def picture(page: Page, name: str) -> None:
    """A screenshot of the whole page, kept as an artefact."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

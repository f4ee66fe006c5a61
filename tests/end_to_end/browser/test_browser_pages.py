"""The pages of the console in a browser: what they show, how they keep fresh, on any screen, for anybody."""

import re
from collections.abc import Sequence
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.end_to_end.browser.desk import PAGES, PASSWORD, Desk, log_in, picture, tab_to
from tests.end_to_end.system import System

EVERYWHERE = {
    "home": "/admin/",
    **PAGES,
    "regime-state": f"{PAGES['regime']}?symbol=SYM1",
    "subject": f"{PAGES['throttling']}?subject=user:user_refused",
    "explain": "/admin/console/explain/?of=user:user_refused",
    "audit": "/admin/avo_project/operatoraction/",
    "inboxes": "/admin/outreach/inbox/",
    "inbox": "/admin/outreach/inbox/1/change/",
    "touches": "/admin/outreach/touch/",
    "overrides": "/admin/throttling/tieroverride/",
    "override": "/admin/throttling/tieroverride/1/change/",
    "new-override": "/admin/throttling/tieroverride/add/",
    "delete-override": "/admin/throttling/tieroverride/1/delete/",
    "login": "/admin/login/",
    "api-docs": "/api/docs",
}
PHONE: ViewportSize = {"width": 390, "height": 844}
STATE = "#avo-status"
AXE = {"resultTypes": ["violations"], "preload": False}  # it would ask for styles by wrong addresses
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
WIDTH_RULES = ["scrollable-region-focusable", "target-size", "label", "button-name", "link-name"]


def shown(page: Page, path: str) -> None:
    """Opens a page and waits until all of it is there."""
    page.goto(path)
    if page.locator("#avo-charts").count():
        expect(page.locator("#avo-charts-note")).not_to_have_text("Loading…")
    if path == "/api/docs":
        page.locator(".opblock").first.wait_for()
    if page.locator(STATE).count():
        expect(page.locator(STATE)).to_have_attribute("data-state", "live")


def test_home_opens_with_a_card_for_each_role(desk: Desk) -> None:
    page = desk.apart()
    log_in(page, "desk", PASSWORD)
    expect(page.locator(".avo-card")).to_have_count(4)
    for card in page.locator(".avo-card").all():
        expect(card.locator(".avo-level")).to_contain_text(re.compile("Healthy|Warning|Critical"))  # never colour alone
        expect(card.locator(".avo-message")).not_to_be_empty()
    for title in ("Regime cache", "Signal stream", "Outreach queue", "Rate limits"):
        page.goto("/admin/")
        page.locator(".avo-card").get_by_role("link", name=title).click()
        expect(page.locator("h1").filter(has_text=title)).to_be_visible()


def pauses_an_inbox(page: Page) -> None:
    page.get_by_role("button", name="Pause an inbox…", exact=True).click()


def pauses_the_inbox_of_a_row(page: Page) -> None:
    page.get_by_role("button", name="Pause… calm@example.com").click()


def cancels_all_rows(page: Page) -> None:
    page.check("#action-toggle")
    page.select_option("select[name=action]", label="Cancel")
    page.locator("button[name=index]").click()


def saves(page: Page) -> None:
    page.locator("input[name=_save]").click()
    page.locator(".errornote").wait_for()


LED_TO = {
    "ask": (PAGES["outreach"], pauses_an_inbox),
    "confirm": (PAGES["outreach"], pauses_the_inbox_of_a_row),
    "confirm-rows": ("/admin/outreach/touch/?q=limits@example.com", cancels_all_rows),
    "no-reason": ("/admin/outreach/inbox/1/change/", saves),
    "no-reason-in-list": ("/admin/outreach/inbox/", saves),
}


@pytest.mark.parametrize("name", [*EVERYWHERE, *LED_TO])
def test_no_page_keeps_anybody_out(desk: Desk, name: str) -> None:
    """In light, in dark and on a phone: no serious finding, nothing over the edge."""
    page = desk.apart() if name == "login" else desk.page("desk")
    path, goes_on = LED_TO.get(name) or (EVERYWHERE[name], None)
    shown(page, path)
    if goes_on:
        goes_on(page)
    picture(page, f"{name}-light")
    assert serious_findings(page) == []
    page.emulate_media(color_scheme="dark")
    picture(page, f"{name}-dark")
    assert serious_findings(page, COLOUR_RULES) == []
    page.set_viewport_size(PHONE)
    picture(page, f"{name}-phone")
    assert serious_findings(page, COLOUR_RULES + WIDTH_RULES) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def serious_findings(page: Page, rules: Sequence[str] = ()) -> list[tuple[str, str, list[str]]]:
    """What axe calls serious or critical: the rule and the first places. ``rules`` are all when none is named."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    chosen = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    found = page.evaluate("options => axe.run(document, options)", AXE | chosen)
    return [
        (one["id"], one["impact"], [node["html"] + node["failureSummary"] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_the_status_cards_are_reached_by_keyboard(desk: Desk) -> None:
    """Each card's link, in the order in which they stand, with a visible focus; Enter opens the page."""
    page = desk.page("desk")
    shown(page, "/admin/")
    for title in ("Regime cache", "Signal stream", "Outreach queue", "Rate limits"):
        tab_to(page, title)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab_to(page, "Explain")
    shown(page, "/admin/")
    tab_to(page, "Regime cache")
    page.keyboard.press("Enter")
    expect(page.locator("h1").filter(has_text="Regime cache")).to_be_visible()


def test_a_change_from_outside_appears_without_a_reload(desk: Desk, console: System) -> None:
    page = desk.apart("desk")
    page.clock.install()
    shown(page, PAGES["signals"])
    page.evaluate("window.stays = true")
    symbol = f"NEW{uuid4().hex[:6]}".upper()
    event = {"signal_id": str(uuid4()), "symbol": symbol, "direction": "short", "confidence": "0.9"}
    console.redis().xadd("signals:live", event)  # type: ignore[arg-type]
    page.clock.run_for(6_000)
    expect(page.locator("#avo-live")).to_contain_text(symbol)
    assert page.evaluate("window.stays") is True


def test_a_page_that_is_paused_or_hidden_asks_for_nothing(desk: Desk) -> None:
    page = desk.apart("desk")
    page.clock.install()
    shown(page, "/admin/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("#avo-pause")
    expect(page.locator(STATE)).to_have_attribute("data-state", "paused")
    asked.clear()
    page.clock.run_for(60_000)
    expect(page.locator("#avo-status-text")).to_contain_text("Paused")
    assert asked == []
    with page.expect_response("**/console/live.json"):
        page.click("#avo-pause")
    hide(page, hidden=True)
    page.clock.run_for(1_000)
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_response("**/console/live.json"):
        hide(page, hidden=False)


def hide(page: Page, *, hidden: bool) -> None:
    """As if another tab were in front of it."""
    script = "hidden => Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })"
    page.evaluate(script, hidden)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_page_says_that_it_is_old_when_the_server_is_gone(desk: Desk) -> None:
    desk.expect("ERR_INTERNET_DISCONNECTED")
    page = desk.apart("desk")
    page.clock.install()
    shown(page, PAGES["outreach"])
    page.context.set_offline(True)
    page.clock.run_for(6_000)
    expect(page.locator("#avo-status-text")).to_contain_text("The server is not responding.")
    page.clock.run_for(15_000)
    expect(page.locator(STATE)).to_have_attribute("data-state", "old")
    picture(page, "outreach-old")
    page.context.set_offline(False)
    page.clock.run_for(6_000)
    expect(page.locator(STATE)).to_have_attribute("data-state", "live")


def test_the_charts_change_their_range_and_tell_it_as_a_table(desk: Desk) -> None:
    page = desk.page("desk")
    shown(page, PAGES["signals"])
    for choice in ("24h", "30d", "1h"):
        with page.expect_response(f"**/history.json?range={choice}"):
            page.click(f"[data-range='{choice}']")
        expect(page.locator(f"[data-range='{choice}']")).to_have_attribute("aria-pressed", "true")
    first = page.locator(".avo-chart").first
    expect(first.locator("canvas")).to_be_visible()
    first.locator("summary").click()
    expect(first.locator("table caption")).to_contain_text("newest first")
    expect(first.locator("details tbody th").first).to_contain_text("20")


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ("user:user_refused", "is over its limit"),
        ("limits@example.com", "Inbox limits@example.com"),
        ("SYM1", "Symbol SYM1"),
        ("00000000-0000-4000-8000-000000000003", "Consumer gone of group"),
        ("nobody@example.com", "No match found"),
    ],
)
def test_the_search_of_the_home_page_tells_why(desk: Desk, of: str, words: str) -> None:
    page = desk.page("desk")
    page.goto("/admin/")
    page.fill("#avo-of", of)
    page.keyboard.press("Enter")
    expect(page.locator("#content-main")).to_contain_text(words)

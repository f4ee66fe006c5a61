"""Every action of every role as an operator does it: begin, preview, reason, confirmation, message, audit row."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from signals_app import keys
from tests.end_to_end.browser.desk import PAGES, Desk, picture, tab_to
from tests.end_to_end.system import System

AUDIT = "/admin/avo_project/operatoraction/"


@dataclass(frozen=True, slots=True)
class Act:
    """``fields`` are asked for after the button; ``preview`` and ``done`` are patterns of the messages."""

    page: str
    label: str
    preview: str
    done: str
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}-{self.label}".lower().replace(" ", "-")


HELD = {"group": "apex-group"}
ACTS = [
    Act("regime", "Rebuild the collection", "publishes a new version", "."),
    Act("signals", "Trim the stream", "unhandled entries are kept", "entries were trimmed"),
    Act(
        "signals",
        "Free the deliveries of an expired consumer",
        "without waiting",
        "can be claimed at once",
        HELD | {"consumer": "gone"},
    ),
    Act(
        "signals",
        "Acknowledge a delivery",
        "The group will never handle it",
        "is acknowledged",
        HELD | {"entry_id": ""},
    ),
    Act(
        "signals",
        "Move a delivery to the dead letters",
        "goes to the dead letters",
        "is in the dead letters",
        HELD | {"entry_id": ""},
    ),
    Act("signals", "Redrive a dead letter", "published again", "is published again as", {"letter_id": ""}),
    Act(
        "signals",
        "Replay a range",
        "A group of its own",
        r"gets \d+ entries again",
        {"group": "again-group", "from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"},
    ),
    Act("signals", "Forget a group", "gets neither", "is forgotten", {"group": "old-group"}),
    Act("outreach", "Pause an inbox", "Nothing is sent", "The inbox is paused", {"inbox": "pause@example.com"}),
    Act("outreach", "Resume an inbox", "sent as its limits", "The inbox is resumed", {"inbox": "resume@example.com"}),
    Act("outreach", "Reconcile the queue", "Compares every", r": \d+"),
]


def begin(page: Page, label: str) -> None:
    page.locator(".avo-actions").get_by_role("button", name=f"{label}…", exact=True).click()


def confirm(page: Page, label: str, reason: str) -> None:
    page.fill("#id_reason", reason)
    page.get_by_role("button", name=f"Yes, {label.lower()}").click()


def expect_done(page: Page, done: str) -> None:
    expect(page.locator(".messagelist .success")).to_contain_text(re.compile(done))


def expect_row(page: Page, label: str, reason: str, outcome: str = "Succeeded") -> None:
    """One row of the audit: who, what, why and how it ended."""
    listed = unescape(page.request.get(AUDIT, params={"q": reason}).text())
    assert "1 operator action" in listed
    for words in ("desk", label, reason, outcome):
        assert f">{words}<" in listed, words


def given(redis: Any, act: Act) -> dict[str, str]:
    """The fields of an act, with an entry that is there: each act takes one that no other takes."""
    if "entry_id" in act.fields:
        held = redis.xpending_range(keys.LIVE, "apex-group", "-", "+", 20)
        chosen = held[0] if act.label.startswith("Move") else held[-1]
        return act.fields | {"entry_id": chosen["message_id"].decode()}
    if "letter_id" in act.fields:
        return {"letter_id": redis.xrange(keys.DEAD, count=1)[0][0].decode()}
    return act.fields


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_an_action_is_previewed_reasoned_confirmed_told_and_written_down(desk: Desk, console: System, act: Act) -> None:
    page, reason = desk.page("desk"), f"trial of {act.label.lower()}"
    page.goto(PAGES[act.page])
    begin(page, act.label)
    if act.fields:
        for name, value in given(console.redis(), act).items():
            page.fill(f"#id_{name}", value)
        page.fill("#id_reason", reason)
        page.get_by_role("button", name="Preview").click()
    expect(page.locator("#content-main")).to_contain_text(re.compile(act.preview))
    confirm(page, act.label, reason)
    expect_done(page, act.done)
    expect_row(page, act.label, reason)


def test_the_two_backfills_run_one_after_the_other(desk: Desk) -> None:
    page = desk.page("desk")
    for label, preview, state in (
        ("Try the TTL backfill", "Changes nothing", "dry run, done"),
        ("Backfill TTLs", "Sets the remaining TTL", "done"),
    ):
        page.goto(PAGES["regime"])
        begin(page, label)
        expect(page.locator(".avo-preview")).to_contain_text(preview)
        confirm(page, label, f"trial of {label.lower()}")
        expect_done(page, "Started")
        expect(page.get_by_role("cell", name=state, exact=True)).to_be_visible()
        expect_row(page, label, f"trial of {label.lower()}")


def test_a_button_in_a_row_begins_its_action(desk: Desk) -> None:
    page = desk.page("desk")
    page.goto(PAGES["outreach"])
    page.get_by_role("button", name="Resume… stuck@example.com").click()
    expect(page.locator("#content-main")).to_contain_text("inbox: stuck@example.com")
    picture(page, "action-resume-light")
    confirm(page, "Resume an inbox", "authorised again")
    expect_done(page, "The inbox is resumed")
    expect(page.get_by_role("button", name="Pause… stuck@example.com")).to_be_visible()


@pytest.mark.parametrize(
    ("label", "inbox"),
    [
        ("Redrive", "rows"),
        ("Redrive", "dead"),
        ("Cancel", "limits"),
        ("Cancel", "cancel"),
        ("Resolve as sent", "arrived"),
        ("Send again", "lost"),
    ],
)
def test_rows_are_chosen_and_acted_upon(desk: Desk, label: str, inbox: str) -> None:
    page, reason = desk.page("desk"), f"batch-{inbox}"
    page.goto(f"/admin/outreach/touch/?q={inbox}@example.com")
    page.check("#action-toggle")
    page.select_option("select[name=action]", label=label)
    page.locator("button[name=index]").click()
    expect(page.locator(".avo-preview")).to_contain_text("Affected: 3.")
    confirm(page, label, reason)
    expect_done(page, "3 of 3")
    expect_row(page, label, reason)


@pytest.mark.parametrize(("label", "subject"), [("Reset", "user:user_reset"), ("Override", "user:user_override")])
def test_a_subject_that_is_refused_is_mended(desk: Desk, label: str, subject: str) -> None:
    page, reason = desk.page("desk"), f"called about {subject}"
    page.goto(f"{PAGES['throttling']}?subject={subject}")
    if label == "Override":
        page.fill("#rates", "200/min")
        page.fill("#hours", "2")
        page.fill("#reason", reason)
    page.get_by_role("button", name=f"{label} this subject…").click()
    expect(page.locator("#content-main")).to_contain_text(
        "has its whole limit" if label == "Reset" else "gets 200/min for 2 hours"
    )
    confirm(page, f"{label} this subject", reason)
    expect_done(page, "Emptied" if label == "Reset" else "Override of")
    expect_row(page, f"{label} this subject", reason)


def test_an_action_that_fails_says_so_and_leaves_a_row(desk: Desk) -> None:
    page, reason = desk.page("desk"), "nothing lies there"
    page.goto(PAGES["signals"])
    page.get_by_role("button", name="Redrive a dead letter…", exact=True).click()
    page.fill("#id_letter_id", "1-1")
    page.fill("#id_reason", reason)
    page.get_by_role("button", name="Preview").click()
    confirm(page, "Redrive a dead letter", reason)
    expect(page.locator(".messagelist .error")).to_contain_text("failed: there is no dead letter 1-1")
    expect_row(page, "Redrive a dead letter", reason, outcome="Failed")


def test_an_action_that_cannot_be_previewed_is_not_begun(desk: Desk) -> None:
    page = desk.page("desk")
    page.goto(PAGES["outreach"])
    page.get_by_role("button", name="Pause an inbox…", exact=True).click()
    page.fill("#id_inbox", "nobody@example.com")
    page.fill("#id_reason", "by mistake")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".messagelist .error")).to_contain_text("was not started: there is no inbox")


def test_the_keyboard_alone_is_enough(desk: Desk) -> None:
    page = desk.page("desk")
    page.goto(PAGES["outreach"])
    tab_to(page, "Pause… keys@example.com")
    page.keyboard.press("Enter")
    page.locator("#id_reason").wait_for()
    tab_to(page, "Reason")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect_done(page, "The inbox is paused")
    expect_row(page, "Pause an inbox", "by keyboard")


@pytest.mark.parametrize("role", PAGES)
def test_a_viewer_finds_nothing_to_press_and_is_refused(desk: Desk, console: System, role: str) -> None:
    desk.expect("status 403")
    page = desk.page("viewer")
    page.goto(PAGES[role])
    expect(page.locator("#avo-live")).to_be_visible()
    expect(page.locator("#content-main form[method=post]:not(#avo-act) , [form=avo-act]")).to_have_count(0)
    token = next(one["value"] for one in page.context.cookies() if one["name"] == "csrftoken")
    names = {"regime": "backfill", "signals": "trim", "outreach": "reconcile", "throttling": "reset"}
    form = {"csrfmiddlewaretoken": token, "confirmed": "yes", "reason": "viewer", "subject": "user:user_refused"}
    refused = page.request.post(f"{PAGES[role]}do/{names[role]}/", form=form, headers={"Referer": page.url})
    assert refused.status == 403

"""The intake of touches into the ledger and the queue."""

import codecs
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from outreach.domain.fields import TouchError
from outreach.domain.touch import KeyReusedError
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.intake import BATCH, COMMAND_LINE, BadLine, Intake, accept_lines
from outreach.services.suppression import suppress_recipient
from outreach.services.touch_operations import TouchOperations
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import DownRedis, FixedClock
from tests.outreach.conftest import touch_data

pytestmark = pytest.mark.django_db


def lines(*touches: Any) -> list[bytes]:
    return [touch if isinstance(touch, bytes) else json.dumps(touch).encode() for touch in touches]


@pytest.fixture
def take(intake: Intake, django_capture_on_commit_callbacks: Any) -> Any:
    def run(*touches: Any) -> tuple[Counter[str], list[BadLine]]:
        bad: list[BadLine] = []
        with django_capture_on_commit_callbacks(execute=True):
            counts = accept_lines(intake, lines(*touches), bad.append)
        return counts, bad

    return run


def test_a_touch_is_in_the_ledger_and_in_the_queue(inbox: Inbox, take: Any, view: QueueView) -> None:
    counts, _ = take(touch_data(metadata={"a": 1}, idempotency_key="k"))
    touch = Touch.objects.get()
    assert counts["queued"] == 1
    assert (touch.status, touch.recipient, touch.metadata, touch.idempotency_key) == (
        "queued",
        "r1@example.com",
        {"a": 1},
        "k",
    )
    assert view.queued_ids([inbox.pk]) == {str(touch.pk)}


def test_a_repeated_key_is_not_queued_twice(inbox: Inbox, take: Any, view: QueueView) -> None:
    first, _ = take(touch_data(1, idempotency_key="k"), touch_data(1, idempotency_key="k"), touch_data(3))
    second, _ = take(touch_data(1, idempotency_key="k"))
    assert (first["queued"], first["repeated"], second["repeated"]) == (2, 1, 1)
    assert view.depths([inbox.pk]) == {inbox.pk: 2}
    assert Touch.objects.get(idempotency_key="k").recipient == "r1@example.com"


def test_a_repeated_key_is_answered_with_the_first_touch(inbox: Inbox, intake: Intake) -> None:
    first = intake.accept(touch_data(idempotency_key="k"))
    Touch.objects.update(status="sent")
    again = intake.accept(touch_data(idempotency_key="k"))
    assert (again.touch_id, again.status, again.is_repeat) == (first.touch_id, "sent", True)


def test_a_repeated_key_with_another_touch_is_a_bad_line(inbox: Inbox, take: Any, view: QueueView) -> None:
    first, bad = take(touch_data(1, idempotency_key="k"), touch_data(2, idempotency_key="k"), touch_data(3))
    second, worse = take(touch_data(4), touch_data(5, idempotency_key="k"))
    assert (first, second) == ({"queued": 2, "rejected": 1}, {"queued": 1, "rejected": 1})
    assert [(one.number, one.error.field) for one in (*bad, *worse)] == [(2, "idempotency_key")] * 2
    assert str(bad[0].error) == "idempotency_key: was already used for a different touch; use another key"
    assert view.depths([inbox.pk]) == {inbox.pk: 3}


BODIES = json.loads((Path(__file__).parent / "data" / "repeated_touches.json").read_text())


@pytest.mark.parametrize("case", BODIES, ids=[case["name"] for case in BODIES])
def test_what_is_the_same_touch(inbox: Inbox, intake: Intake, case: dict[str, Any]) -> None:
    change_inbox("Ben@example.com", {})
    first = intake.accept(touch_data(**case["first"], idempotency_key="k"), "user:1")
    again = touch_data(**case["again"], idempotency_key="k")
    if case["same"]:
        assert intake.accept(again, "user:1").touch_id == first.touch_id
    else:
        with pytest.raises(KeyReusedError):
            intake.accept(again, "user:1")
    assert Touch.objects.count() == 1


def test_keys_belong_to_their_account(inbox: Inbox, intake: Intake) -> None:
    owners = ("user:1", "user:2", COMMAND_LINE)
    made = [intake.accept(touch_data(number, idempotency_key="k"), owner) for number, owner in enumerate(owners)]
    assert [one.is_repeat for one in made] == [False] * 3
    assert set(Touch.objects.values_list("owner", flat=True)) == set(owners)
    again = [intake.accept(touch_data(number, idempotency_key="k"), owner) for number, owner in enumerate(owners)]
    assert [one.touch_id for one in again] == [one.touch_id for one in made]


@pytest.mark.parametrize("owner", ["user:1", COMMAND_LINE])
def test_a_touch_from_before_owners_were_kept_is_not_sent_again(inbox: Inbox, intake: Intake, owner: str) -> None:
    """Its owner is unknown. An identical touch repeats it; a different one belongs to another account."""
    old = intake.accept(touch_data(idempotency_key="k"))
    Touch.objects.update(owner=None, draft_digest="")
    assert intake.accept(touch_data(idempotency_key="k"), owner).touch_id == old.touch_id
    assert not intake.accept(touch_data(2, idempotency_key="k"), owner).is_repeat
    with pytest.raises(KeyReusedError):
        intake.accept(touch_data(idempotency_key="k"), owner)


def test_a_forgotten_touch_is_repeated_and_not_told_apart(
    inbox: Inbox, intake: Intake, lanes: Lanes, clock: FixedClock
) -> None:
    old = intake.accept(touch_data(idempotency_key="k"))
    TouchOperations(lanes, clock).forget("r1@example.com")
    assert Touch.objects.get().draft_digest == ""
    assert intake.accept(touch_data(idempotency_key="k")).touch_id == old.touch_id


def test_of_two_that_bring_a_key_at_once_the_database_lets_one_in(
    inbox: Inbox, intake: Intake, monkeypatch: Any
) -> None:
    """The other row is committed between our SELECT and our INSERT."""
    winner = intake.accept(touch_data(idempotency_key="k"))
    looked: list[int] = []

    def late(wanted: Any) -> dict[str, Touch]:
        looked.append(1)
        return {} if len(looked) == 1 else {"k": Touch.objects.get(idempotency_key="k")}

    monkeypatch.setattr("outreach.services.intake._stored", late)
    loser = intake.accept(touch_data(idempotency_key="k"))
    assert (loser.touch_id, loser.is_repeat) == (winner.touch_id, True)
    assert Touch.objects.count() == 1


def test_a_bad_line_is_named_and_nothing_else_is_lost(inbox: Inbox, take: Any) -> None:
    counts, bad = take(
        touch_data(1),
        b"{broken",
        touch_data(2, subject="a\r\nBcc: x@example.com"),
        b"\xff\xfe",
        touch_data(3, recipient=""),
        touch_data(4, inbox="nobody@example.com"),
        b"",
        touch_data(5, body="x" * 10_000_000),
        touch_data(6, recipient="leser@bücher.example"),
        b"[]",
    )
    assert [(one.number, one.error.field) for one in bad] == [
        (2, "line"), (3, "subject"), (4, "line"), (5, "recipient"), (6, "inbox"), (8, "body"), (10, "touch"),
    ]  # fmt: skip
    assert counts == {"queued": 2, "rejected": 7}
    assert set(Touch.objects.values_list("recipient", flat=True)) == {"r1@example.com", "leser@xn--bcher-kva.example"}


def test_a_line_too_deep_is_a_bad_line_among_others(inbox: Inbox, take: Any) -> None:
    deep = [
        json.dumps(touch_data(2)).encode().replace(b"{", b'{"metadata": {"a": %b%b},' % (b"[" * depth, b"]" * depth))
        for depth in (70, 930, 1000, 1020, 2000)
    ]
    counts, bad = take(touch_data(1), *deep, touch_data(3))
    assert [(one.number, one.error.field) for one in bad] == [
        *((number, "metadata") for number in range(2, 6)),
        (6, "line"),
    ]
    assert counts == {"queued": 2, "rejected": 5}


def test_a_byte_order_mark_before_the_first_line_is_skipped(inbox: Inbox, take: Any) -> None:
    marked = codecs.BOM_UTF8 + json.dumps(touch_data(1)).encode()
    counts, bad = take(marked, marked)
    assert counts == {"queued": 1, "rejected": 1}
    assert [one.number for one in bad] == [2]


def test_many_lines_come_in_several_batches(inbox: Inbox, take: Any, view: QueueView) -> None:
    counts, _ = take(*(touch_data(number) for number in range(BATCH + 10)))
    assert counts["queued"] == BATCH + 10
    assert view.depths([inbox.pk]) == {inbox.pk: BATCH + 10}


def test_a_touch_with_a_time_waits_for_it(inbox: Inbox, take: Any, clock: FixedClock, lanes: Lanes) -> None:
    take(touch_data(1, not_before=clock.now + 100), touch_data(2, not_before=clock.now - 100))
    assert list(Touch.objects.order_by("recipient").values_list("status", flat=True)) == ["waiting", "queued"]


def test_a_suppressed_recipient_is_not_queued(inbox: Inbox, take: Any, lanes: Lanes, view: QueueView) -> None:
    suppress_recipient("R1@EXAMPLE.com", "asked", lanes)
    counts, _ = take(touch_data(1), touch_data(2))
    assert (counts["suppressed"], counts["queued"]) == (1, 1)
    assert view.depths([inbox.pk]) == {inbox.pk: 1}


def test_an_inbox_is_found_in_any_spelling(db: None, intake: Intake) -> None:
    inbox = change_inbox("Anna@bücher.example", {})
    assert inbox.address == "Anna@xn--bcher-kva.example"
    assert intake.accept(touch_data(inbox="aNNa@BÜCHER.example")).status == "queued"
    assert change_inbox("anna@bücher.example", {"per_minute": 3}).pk == inbox.pk
    assert Inbox.objects.get().address == "Anna@xn--bcher-kva.example"


def test_handles_of_other_channels_are_told_apart_by_case(db: None, intake: Intake) -> None:
    for handle in ("@Avo", "@avo"):
        change_inbox(handle, {"channel": "dm", "url": "https://dm.example/in"})
        touch_id = intake.accept(touch_data(inbox=handle, recipient="@reader")).touch_id
        assert Touch.objects.get(pk=touch_id).inbox.address == handle


def test_a_handle_is_a_recipient_on_other_channels(db: None, intake: Intake) -> None:
    change_inbox("@avo", {"channel": "dm", "url": "https://dm.example/in"})
    assert intake.accept(touch_data(inbox="@avo", recipient="@reader")).status == "queued"
    with pytest.raises(TouchError, match="no inbox has this address"):
        intake.accept(touch_data(inbox="@nobody", recipient="@reader"))


def test_a_touch_is_safe_when_redis_is_down(
    inbox: Inbox, redis_of: Any, clock: FixedClock, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    down = DownRedis(redis_of("outreach"))
    lanes = Lanes(down)
    lanes._scripts["enqueue"] = lambda *_: down.__getattr__("evalsha")
    down.is_down = True
    with django_capture_on_commit_callbacks(execute=True):
        accepted = Intake(lanes, clock).accept(touch_data())
    assert Touch.objects.get().pk.__str__() == accepted.touch_id
    assert "not yet in the queue" in caplog.text
    assert "example.com" not in caplog.text

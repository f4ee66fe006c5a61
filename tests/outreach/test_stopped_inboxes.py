"""One relay that refuses many inboxes: how the admin shows and resumes them together; and lifting suppressions."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from avo_project.models import OperatorAction
from outreach.admin.console import health
from outreach.domain.touch import recipient_key
from outreach.models import Inbox, Suppression, Touch
from outreach.services.stopped_inboxes import held_inboxes, paused_inboxes
from tests.outreach.conftest import touch_data

pytestmark = pytest.mark.django_db
QUEUE_URL = "/admin/outreach/outreachqueue/"
CONFIRMED = {"confirmed": "yes", "reason": "the relay's operator has fixed it"}


@pytest.fixture
def fleet(intake: Any) -> None:
    """41 inboxes with a touch each: 40 refused by one relay, one for another reason, and three held."""
    for number in range(44):
        inbox = Inbox.objects.create(address=f"i{number:02d}@example.com")
        intake.accept(touch_data(1, inbox=inbox.address))
    for inbox in Inbox.objects.filter(address__lt="i40"):
        inbox.paused, inbox.pause_reason = True, f"550 5.7.1 <{inbox.address}>\nblocked"
        inbox.save()
    Inbox.objects.filter(address__startswith="i40").update(paused=True, pause_reason="535 no")
    later = timezone.now() + timedelta(hours=1)
    Inbox.objects.filter(address__gt="i41").update(held_until=later, hold_reason="quota", hold_detail="550 5.4.5 quota")


def test_the_card_counts_the_inboxes_and_says_the_commonest_reply(fleet: None, redis_of: Any) -> None:
    redis_of("outreach").zadd("{outreach}:workers", {"w1": round(timezone.now().timestamp() * 1000)})
    message = health(timezone.now().timestamp()).message
    assert message == (
        "Paused with touches to send: i00@example.com, i01@example.com, i02@example.com and 38 more. "
        "Commonest reply (40 of 41): 550 5.7.1 <[address]> blocked"
    )
    Inbox.objects.update(paused=False)
    message = health(timezone.now().timestamp()).message
    assert message == (
        "Held with touches to send: i41@example.com, i42@example.com, i43@example.com. "
        "Commonest reply (3 of 3): 550 5.4.5 quota"
    )
    Inbox.objects.update(held_until=None)
    assert health(timezone.now().timestamp()).message == "Sending normally."


def test_one_action_resumes_all_inboxes_that_a_reply_stopped(fleet: None, operator_client: Any) -> None:
    page = operator_client.get(QUEUE_URL).content.decode()
    assert "Paused and held inboxes" in page
    assert "Resume all…" in page
    for reply, paused, held in (("550 5.7.1 <[address]> blocked", 1, 3), ("550 5.4.5 quota", 1, 0)):
        operator_client.post(f"{QUEUE_URL}do/resume_all/", {"reply": reply, **CONFIRMED})
        assert (paused_inboxes().inboxes, held_inboxes(timezone.now()).inboxes) == (paused, held)
    audited = OperatorAction.objects.filter(action="Resume inboxes by reply").order_by("pk")
    assert [(one.how_many, one.message) for one in audited] == [
        (40, "40 inboxes are resumed."),
        (3, "3 inboxes are resumed."),
    ]


def test_the_list_of_inboxes_says_their_state(fleet: None, operator_client: Any) -> None:
    page = operator_client.get("/admin/outreach/inbox/").content.decode()
    assert page.count(">Paused<") == 41
    assert page.count(">Held (quota)<") == 3


@pytest.mark.parametrize("written", ["R1@example.com", " r1@example.com "])
def test_a_suppression_is_lifted_and_the_lift_is_audited(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], written: str
) -> None:
    Suppression.objects.create(recipient_key=recipient_key("r1@example.com"), reason="refused for good: 550")
    out = io.StringIO()
    call_command("lift_suppression", written, "--reason", "wrongly refused, says r1@example.com", stdout=out)
    assert out.getvalue() == "lifted=1\n"
    [touch] = queue_up(1)
    assert touch.status == "queued"
    audited = OperatorAction.objects.get()
    assert (audited.username, audited.action, audited.how_many) == ("command line", "Lift suppression", 1)
    assert audited.reason == "wrongly refused, says [address]"
    call_command("lift_suppression", written, "--reason", "again", stdout=out)
    assert out.getvalue().endswith("lifted=0\n")


def test_a_lift_needs_a_reason(db: None) -> None:
    with pytest.raises(CommandError, match="--reason must not be empty"):
        call_command("lift_suppression", "r1@example.com", "--reason", " ")


def test_suppressions_are_lifted_in_the_admin(operator_client: Any) -> None:
    row = Suppression.objects.create(recipient_key="k" * 64, recipient="r@example.com", reason="refused for good: 550")
    url = "/admin/outreach/suppression/"
    assert ">Lift<" in operator_client.get(url).content.decode()
    operator_client.post(url, {"action": "delete_selected", "_selected_action": [row.pk], **CONFIRMED})
    assert not Suppression.objects.exists()
    assert OperatorAction.objects.get().message == "1 of 1 lifted."

"""Explanations in the command, the API and the admin; recipients require a permission."""

import json
import time
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.authtoken.models import Token

from outreach.models import Attempt, Inbox, Touch
from outreach.services.intake import Intake
from outreach.store.inspection import QueueView
from regime.store.state_cache import StateCache
from signals_app.models import Execution
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.regime.states import a_state
from tests.signals_app.conftest import event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]
API = "/api/explain"
PAGE = "/admin/console/explain/"
RECIPIENT = "eve@example.org"


@pytest.fixture
def touch(redis_of: Any) -> Touch:
    inbox = Inbox.objects.create(address="anna@example.com", paused=True, pause_reason="paused by a person")
    draft = {"inbox": "anna@example.com", "recipient": RECIPIENT, "subject": "s", "body": "b"}
    touch = Touch.objects.get(pk=Intake.connect(time.time).accept(draft).touch_id)
    now = timezone.now()
    Attempt.objects.create(
        touch=touch, inbox=inbox, outcome="retry", code=450, detail=f"450 <{RECIPIENT}> greylisted", worker="w",
        started_at=now, finished_at=now,
    )  # fmt: skip
    return touch


def token_of(user: Any) -> dict[str, str]:
    return {"Authorization": f"Token {Token.objects.create(user=user).key}"}


@pytest.fixture
def staff(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user("staff", is_staff=True)


def explained(of: str, *options: str, capsys: Any) -> dict[str, Any]:
    call_command("explain", of, "--json", *options)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_touch_waits_for_what_the_rules_say(touch: Touch, capsys: Any) -> None:
    [answer] = explained(str(touch.pk), capsys=capsys)["answers"]
    assert (answer["kind"], answer["headline"]) == ("touch", "waits for an operator's action")
    assert answer["because"][0] == "Waits because its inbox is paused: paused by a person."
    assert RECIPIENT not in json.dumps(answer)
    assert "450 [address] greylisted" in json.dumps(answer).replace("<", "").replace(">", "")
    [open_answer] = explained(str(touch.pk), "--payload", capsys=capsys)["answers"]
    assert open_answer["facts"]["recipient"] == RECIPIENT


def test_an_inbox_says_what_holds_its_next_touch(touch: Touch, capsys: Any) -> None:
    call_command("explain", "anna@example.com")
    shown = capsys.readouterr().out
    assert "inbox anna@example.com: waits for an operator's action" in shown
    assert "touches to send: 1" in shown


def test_a_signal_is_followed_from_its_event_to_its_execution(capsys: Any) -> None:
    stream, group = SignalStream.connect(), ConsumerGroup.connect("apex-group")
    group.make()
    published = event(7)
    stream.publish([published], publisher="p", batch=1)
    [answer] = explained(published.signal_id, capsys=capsys)["answers"]
    assert answer["headline"] == "is published and not executed"
    assert answer["because"] == ["group apex-group has not received it yet"]
    group.read("one", count=1, block_ms=0)
    [answer] = explained(published.signal_id, capsys=capsys)["answers"]
    assert answer["headline"] == "is in flight"
    assert "one of group apex-group holds it, delivery 1" in answer["because"][0]
    group.move_to_dead_letters("one", answer["facts"]["entry"], reason="rejected: no market", deliveries=1)
    [answer] = explained(published.signal_id, capsys=capsys)["answers"]
    assert answer["headline"] == "was moved to the dead letters"
    assert "it was dead-lettered after 1 deliveries: rejected: no market" in answer["because"]
    Execution.objects.create(
        signal_id=published.signal_id, symbol="A", direction="long", confidence=1, executed_at=timezone.now()
    )
    assert explained(published.signal_id, capsys=capsys)["answers"][0]["headline"] == "is executed"


def test_a_subject_says_its_tier_and_what_is_left(capsys: Any) -> None:
    [answer] = explained("address:192.0.2.1", capsys=capsys)["answers"]
    assert (answer["kind"], answer["headline"]) == ("subject", "is within its limits")
    assert answer["because"] == ["its tier is anonymous: not signed in"]
    assert "100000 of 100000 left" in answer["facts"]["minute window"]


def test_nobody_knows_is_said(capsys: Any) -> None:
    for unknown in (str(uuid.uuid4()), "NOSYMBOL"):
        with pytest.raises(CommandError, match="No match found"):
            call_command("explain", unknown)
    with pytest.raises(CommandError, match="Enter a throttle subject"):
        call_command("explain", " ")


class TestApi:
    def test_it_is_for_staff_and_every_role_needs_its_permission(
        self, client: Any, staff: Any, django_user_model: Any
    ) -> None:
        list(StateCache.connect().put_many([a_state("AAPL", time.time())]))
        assert client.get(API, {"of": "AAPL"}).status_code == 401
        nobody = token_of(django_user_model.objects.create_user("nobody"))
        assert client.get(API, {"of": "AAPL"}, headers=nobody).status_code == 403
        header = token_of(staff)
        assert client.get(API, {"of": "AAPL"}, headers=header).status_code == 404
        staff.user_permissions.add(Permission.objects.get(codename="view_regimecache"))
        answer = client.get(API, {"of": "AAPL"}, headers=header)
        assert answer.json()["answers"][0]["headline"] == "is served as current"
        assert client.get(API, headers=header).status_code == 400

    def test_recipients_need_the_permission_for_payloads(self, client: Any, staff: Any, touch: Touch) -> None:
        header = token_of(staff)
        staff.user_permissions.add(Permission.objects.get(codename="view_outreachqueue"))
        assert RECIPIENT not in client.get(API, {"of": str(touch.pk)}, headers=header).content.decode()
        staff.user_permissions.add(Permission.objects.get(codename="view_touch_payload"))
        assert RECIPIENT in client.get(API, {"of": str(touch.pk)}, headers=header).content.decode()

    def test_it_is_in_the_schema(self, client: Any) -> None:
        assert "/api/explain:" in client.get("/api/schema").content.decode()


class TestAdmin:
    def test_the_search_leads_to_reasons(self, operator_client: Any, touch: Touch) -> None:
        assert 'action="/admin/console/explain/"' in operator_client.get("/admin/").content.decode()
        page = operator_client.get(PAGE, {"of": str(touch.pk)}).content.decode()
        assert "<h2>Touch " in page
        assert "Waits because its inbox is paused" in page
        assert RECIPIENT in page
        assert "No match found" in operator_client.get(PAGE, {"of": "NOSYMBOL"}).content.decode()
        assert "Enter a throttle" in operator_client.get(PAGE, {"of": "x" * 400}).content.decode()
        assert operator_client.post(PAGE).status_code == 405

    def test_what_is_asked_for_is_escaped(self, operator_client: Any) -> None:
        assert "<script>alert" not in operator_client.get(PAGE, {"of": "<script>alert(1)</script>"}).content.decode()

    def test_a_role_that_is_down_is_named_and_the_others_answer(
        self, operator_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down() -> None:
            raise RedisConnectionError("gone")

        list(StateCache.connect().put_many([a_state("AAPL", time.time())]))
        monkeypatch.setattr(QueueView, "connect", down)
        page = operator_client.get(PAGE, {"of": "AAPL"}).content.decode()
        assert "Outreach queue is unavailable." in page
        assert "is served as current" in page

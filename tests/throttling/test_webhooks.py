import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from svix.webhooks import Webhook

from throttling.domain.webhook_events import EventError, read_event
from throttling.models import PlanChange
from throttling.services.callers import current_plan

EVENTS = json.loads((Path(__file__).parent / "data" / "webhook_events.json").read_text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["subscription.x", "\ud800"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["items", "payer", "plan"]), inner),
    max_leaves=10,
)
NOW = 1_800_000_000.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
pytestmark = pytest.mark.django_db


def item(plan: str = "pro", status: str = "active", **payer: str) -> dict[str, Any]:
    return {"status": status, "plan": {"slug": plan, "name": plan.title()}, "payer": payer or {"user_id": "user_alice"}}


def event(kind: str = "subscriptionItem.active", at: float = 1_790_000_000.0, **data: Any) -> dict[str, Any]:
    return {"type": kind, "object": "event", "timestamp": int(at * 1000), "data": data or item()}


def post(client: Any, body: Any, message_id: str = "msg_1", sent: datetime | None = None, secret: str = SECRET) -> Any:
    sent, text = sent or timezone.now(), body if isinstance(body, str) else json.dumps(body)
    headers = {
        "svix-id": message_id,
        "svix-timestamp": str(int(sent.timestamp())),
        "svix-signature": Webhook(secret).sign(message_id, sent, text),
    }
    return client.post("/webhooks/clerk", text, content_type="application/json", headers=headers)


@pytest.fixture
def webhook(throttling: Any) -> None:
    throttling(CLERK_WEBHOOK_SECRET=SECRET)


def test_without_a_secret_there_is_no_webhook(client: Any, throttling: Any) -> None:
    assert post(client, event()).status_code == 404
    for method in ("get", "head", "options", "put", "patch", "delete"):
        assert getattr(client, method)("/webhooks/clerk").status_code == 404


@pytest.mark.usefixtures("webhook")
class TestWebhook:
    def test_a_plan_change_is_kept(self, client: Any) -> None:
        response = post(client, event())
        assert (response.status_code, response.json()) == (200, {"status": "stored"})
        [row] = PlanChange.objects.all()
        assert (row.subject, row.plan, row.is_active, row.message_id) == ("user:user_alice", "pro", True, "msg_1")
        assert row.event_at == datetime.fromtimestamp(1_790_000_000, UTC)

    def test_a_message_counts_once(self, client: Any) -> None:
        assert [post(client, event()).json()["status"] for _ in range(3)] == ["stored", "duplicate", "duplicate"]
        assert PlanChange.objects.count() == 1

    @pytest.mark.parametrize("length", [80, 81, 100, 101, 4000])
    def test_an_id_of_any_length_is_kept_and_counts_once(self, client: Any, length: int) -> None:
        body = event("subscription.active", items=[item("pro"), item("team")], payer={"user_id": "user_alice"})
        answers = [post(client, body, "m" * length) for _ in range(2)]
        assert [answer.json() for answer in answers] == [{"status": "stored"}, {"status": "duplicate"}]
        assert post(client, body, "m" * length + "n").json() == {"status": "stored"}
        assert all(len(row.message_id) <= 100 for row in PlanChange.objects.all())
        assert PlanChange.objects.count() == 4

    def test_order_of_events_wins_over_order_of_arrival(self, client: Any) -> None:
        post(client, event("subscriptionItem.ended", 1_790_000_200.0, **item("pro", "ended")), "msg_2")
        post(client, event("subscriptionItem.active", 1_790_000_300.0, **item("institutional")), "msg_3")
        post(client, event("subscriptionItem.active", 1_790_000_100.0, **item("pro")), "msg_1")
        assert current_plan("user:user_alice") == "institutional"

    def test_the_end_of_the_old_plan_does_not_end_the_new_one(self, client: Any) -> None:
        post(client, event(at=1_790_000_100.0), "msg_1")
        post(client, event(at=1_790_000_200.0, **item("institutional")), "msg_2")
        post(client, event("subscriptionItem.ended", 1_790_000_201.0, **item("pro", "ended")), "msg_3")
        assert current_plan("user:user_alice") == "institutional"
        post(client, event("subscriptionItem.ended", 1_790_000_300.0, **item("institutional", "ended")), "msg_4")
        assert current_plan("user:user_alice") is None

    @pytest.mark.parametrize("body", ["no JSON", "[" * 100_000, "NaN,"])
    def test_a_signed_body_that_is_not_json_gets_a_plain_text(self, client: Any, body: str) -> None:
        response = post(client, body)
        assert (response.status_code, response.json()["detail"]) == (400, "The body is not valid JSON.")

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_message_out_of_its_five_minutes_is_rejected(self, client: Any, minutes: int) -> None:
        response = post(client, event(), sent=timezone.now() + timedelta(minutes=minutes))
        assert (response.status_code, response.json()["type"]) == (400, "urn:avo:problem:bad-signature")

    def test_a_foreign_signature_is_rejected(self, client: Any) -> None:
        assert post(client, event(), secret="whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").status_code == 400

    @pytest.mark.parametrize("signature", ["", "v1", "v1,%%%", "v2,abc", "nonsense nonsense"])
    def test_a_mangled_signature_is_rejected(self, client: Any, signature: str) -> None:
        headers = {"svix-id": "m", "svix-timestamp": str(int(timezone.now().timestamp())), "svix-signature": signature}
        assert client.post("/webhooks/clerk", "{}", content_type="application/json", headers=headers).status_code == 400
        assert (
            client.post("/webhooks/clerk", b"\xff", content_type="application/json", headers=headers).status_code == 400
        )

    @pytest.mark.parametrize("body", ["[" * 50_000, '{"a":' * 50_000, "9" * 10_000, "nonsense", "", "NaN"])
    def test_a_signed_body_that_cannot_be_read_is_rejected(self, client: Any, body: str) -> None:
        assert post(client, body).status_code in (400, 422)

    def test_a_plan_of_no_name_is_left_out(self, client: Any) -> None:
        assert post(client, event(**item("\ud800"))).json() == {"status": "ignored"}

    def test_it_takes_nothing_but_post(self, client: Any) -> None:
        assert client.get("/webhooks/clerk").status_code == 405

    def test_no_headers_at_all(self, client: Any) -> None:
        assert client.post("/webhooks/clerk", {}, content_type="application/json").status_code == 400

    def test_other_events_are_accepted_and_ignored(self, client: Any) -> None:
        assert post(client, {"type": "user.created", "data": {}}).json() == {"status": "ignored"}

    def test_a_signed_event_without_its_parts_gets_422(self, client: Any) -> None:
        response = post(client, event(payer={}, status="active", plan={"slug": "pro"}))
        assert (response.status_code, response.json()["detail"]) == (422, "The event names no payer.")

    @pytest.mark.parametrize("case", EVENTS, ids=[case["name"] for case in EVENTS])
    def test_signed_events_of_any_shape(self, client: Any, case: dict[str, Any]) -> None:
        answer = post(client, case["body"])
        assert (answer.status_code, answer.json().get("status")) == (case["status"], case.get("says", case["status"]))
        assert answer.headers["Content-Type"].endswith("json")

    @given(JSON)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_signed_json_is_an_error_of_ours(self, client: Any, body: Any) -> None:
        assert post(client, json.dumps(body)).status_code in (200, 422)

    @given(st.dictionaries(st.sampled_from(["type", "data", "timestamp"]), JSON))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_odd_part_of_an_event_is_an_error_of_ours(self, client: Any, odd: dict[str, Any]) -> None:
        body = event("subscription.updated", items=[item()], payer={"user_id": "user_alice"}) | odd
        assert post(client, json.dumps(body)).status_code in (200, 422)

    def test_no_event_happened_after_it_was_sent(self, client: Any) -> None:
        """Or its plan would outlast every later change."""
        sent = timezone.now().replace(microsecond=0)
        post(client, event(at=3_360_000_000.0), "msg_1", sent)
        post(client, event(at=sent.timestamp() + 1, **item("pro", "ended")), "msg_2", sent + timedelta(seconds=2))
        assert PlanChange.objects.earliest("event_at").event_at == sent
        assert current_plan("user:user_alice") is None

    @pytest.mark.parametrize(
        "beside", ["nonsense", "v1", "v1,", "v1,%%%", "v1,AAAA", "v1,é", "v2,abc", ",", "v1,A,B", "v1a,", "\ud800"]
    )
    @pytest.mark.parametrize("form", ["{beside} {good}", "{good} {beside}", "{beside}  {beside} {good}"])
    def test_a_good_signature_is_found_beside_any_other(self, client: Any, beside: str, form: str) -> None:
        sent, text = timezone.now(), json.dumps(event())
        good = Webhook(SECRET).sign("msg_1", sent, text)
        headers = {"svix-id": "msg_1", "svix-timestamp": str(int(sent.timestamp()))}
        headers["svix-signature"] = form.format(beside=beside, good=good)
        answer = client.post("/webhooks/clerk", text, content_type="application/json", headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"status": "stored"})

    @pytest.mark.parametrize("moment", ["nan", "inf", "-1", "1e400", "soon", "", "9" * 400, "1_790_000_000"])
    def test_a_moment_that_is_none_is_rejected(self, client: Any, moment: str) -> None:
        headers = {"svix-id": "m", "svix-timestamp": moment, "svix-signature": "v1," + "A" * 43 + "="}
        assert client.post("/webhooks/clerk", "{}", content_type="application/json", headers=headers).status_code == 400

    def test_it_is_neither_throttled_nor_counted(self, client: Any) -> None:
        assert "RateLimit" not in post(client, event()).headers


def test_a_subscription_carries_all_its_items() -> None:
    items = [
        item("free_user", "ended"),
        item("pro"),
        item("institutional", "upcoming"),
        {"status": "active"},
        "rubbish",
    ]
    changes = read_event(
        event("subscription.updated", payer={"organization_id": "org_desk", "user_id": "u"}, items=items), NOW
    )
    assert [(change.subject, change.plan, change.is_active) for change in changes] == [
        ("org:org_desk", "free_user", False),
        ("org:org_desk", "pro", True),
    ]


def test_a_cancelled_plan_is_served_to_its_end() -> None:
    assert read_event(event("subscriptionItem.canceled", **item("pro", "canceled")), NOW) == []


@pytest.mark.parametrize(
    "broken", [None, [], {}, {"type": 7}, {"type": "subscription.updated"}, event() | {"timestamp": "soon"}]
)
def test_what_is_no_event(broken: Any) -> None:
    with pytest.raises(EventError):
        read_event(broken, NOW)

"""The touches API and the unsubscribe page over HTTP."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.authtoken.models import Token

from outreach.domain.reservation import Outcome
from outreach.models import Inbox, Suppression, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.suppression import unsubscribe_token
from outreach.store.inspection import QueueView
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness, touch_data

pytestmark = pytest.mark.django_db
URL = "/api/outreach/touches"


@pytest.fixture
def key(django_user_model: Any, redis_of: Any) -> str:
    """The token of a user with permission to queue and view touches."""
    user = django_user_model.objects.create_user("campaigner")
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_touch", "view_touch"]))
    return str(Token.objects.create(user=user).key)


@pytest.fixture
def api(client: Any, key: str) -> Any:
    def call(method: str, url: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data)
        return getattr(client, method)(
            url, body, content_type="application/json", headers={"Authorization": f"Token {key}"}
        )

    return call


def test_a_touch_is_accepted(api: Any, inbox: Inbox) -> None:
    response = api("post", URL, touch_data(idempotency_key="k"))
    assert response.status_code == 202
    touch = Touch.objects.get()
    assert response.json() == {"id": str(touch.pk), "status": "queued"}
    assert api("post", URL, touch_data(idempotency_key="k")).json()["id"] == str(touch.pk)
    assert Touch.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"recipient": "x"}, "recipient"), ({"subject": "a\nb"}, "subject"), ({"inbox": "n@example.com"}, "inbox"),
     ({"tags": "a"}, "tags"), ({"in_reply_to": "x"}, "in_reply_to"), ({"html": 7}, "html"),
     ({"body": ""}, "body"), ({"body": "x" * 1_000_001}, "body"), ({"colour": "red"}, "colour")],
)  # fmt: skip
def test_a_bad_field_is_a_problem_that_names_it(api: Any, inbox: Inbox, changes: dict[str, str], field: str) -> None:
    response = api("post", URL, touch_data(**changes))
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert list(response.json()["errors"]) == [field]


def test_the_parts_of_a_mail_are_accepted_and_tags_are_shown(api: Any, inbox: Inbox) -> None:
    parts = {"display_name": "Anna", "reply_to": "b@example.com", "html": "<b>Hello</b>", "tags": ["spring"]}
    first = api("post", URL, touch_data(**parts)).json()["id"]
    assert Touch.objects.get(pk=first).mail == parts
    assert api("get", f"{URL}/{first}").json()["tags"] == ["spring"]
    second = api("post", URL, touch_data(in_reply_to=first)).json()["id"]
    assert Touch.objects.get(pk=second).mail == {"in_reply_to": f"<{first}@example.com>"}


def test_a_huge_request_is_refused_unread(api: Any, inbox: Inbox) -> None:
    assert api("post", URL, touch_data(body="x" * 10_000_000)).status_code == 413


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '"x"'])
def test_what_is_no_touch_is_a_problem(client: Any, key: str, body: str) -> None:
    response = client.post(URL, body, content_type="application/json", headers={"Authorization": f"Token {key}"})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


def test_nobody_without_the_permission(client: Any, django_user_model: Any, redis_of: Any, inbox: Inbox) -> None:
    response = client.post(URL, touch_data(), content_type="application/json")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    plain = Token.objects.create(user=django_user_model.objects.create_user("plain"))
    response = client.post(
        URL, touch_data(), content_type="application/json", headers={"Authorization": f"Token {plain.key}"}
    )
    assert response.status_code == 403
    assert Touch.objects.count() == 0


def test_a_touch_tells_its_tries(
    api: Any,
    inbox: Inbox,
    queue_up: Callable[..., list[Touch]],
    harness: WorkerHarness,
    clock: FixedClock,
    view: QueueView,
) -> None:
    clock.now = view.now_ms() / 1000
    harness.sender.answer = Outcome("retry", 450, "450 later")
    [touch] = queue_up(1)
    harness.work()
    shown = api("get", f"{URL}/{touch.pk}").json()
    assert (shown["status"], shown["attempts"], shown["waiting_reason"]) == ("retrying", 1, "retry")
    assert datetime.fromisoformat(shown["waiting_until"]).timestamp() == pytest.approx(clock.now + 300, abs=0.01)
    assert [one["code"] for one in shown["history"]] == [450]


def test_a_touch_tells_why_it_waits(api: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]) -> None:
    [touch] = queue_up(1)
    assert api("get", f"{URL}/{touch.pk}").json()["status"] == "queued"
    change_inbox("anna@example.com", {"paused": True})
    shown = api("get", f"{URL}/{touch.pk}").json()
    assert (shown["status"], shown["waiting_reason"], shown["waiting_until"]) == ("waiting", "paused", None)
    assert shown["waiting_text"] == "Waits because its inbox is paused."


def test_a_touch_behind_others_tells_when_its_turn_comes(
    api: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], clock: FixedClock, view: QueueView
) -> None:
    clock.now = view.now_ms() / 1000
    change_inbox("anna@example.com", {"per_minute": 2})
    touches = queue_up(6)
    shown = [api("get", f"{URL}/{touch.pk}").json() for touch in touches]
    assert [one["status"] for one in shown] == ["queued", "queued", *["waiting"] * 4]
    minutes = [(datetime.fromisoformat(one["waiting_until"]).timestamp() - clock.now) / 60 for one in shown[2:]]
    assert minutes == pytest.approx([1, 1, 2, 2], abs=0.1)
    assert shown[5]["waiting_text"].endswith("per minute: 5 others are ahead of it.")


def test_an_unknown_touch_is_a_404(api: Any) -> None:
    assert api("get", f"{URL}/01a205d6-b677-7029-8876-1291c628e85a").status_code == 404
    assert api("get", f"{URL}/nonsense").status_code == 404


def test_a_touch_is_found_in_any_letter_case_of_its_id(
    api: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    [touch] = queue_up(1)
    assert api("get", f"{URL}/{str(touch.pk).upper()}").json()["id"] == str(touch.pk)


@pytest.mark.parametrize("depth", [65, 930, 1020])
def test_metadata_too_deep_is_a_problem_that_names_it(
    api: Any, client: Any, key: str, inbox: Inbox, depth: int
) -> None:
    body = json.dumps(touch_data(metadata={"a": "deep"})).replace('"deep"', "[" * depth + "]" * depth)
    answer = client.post(URL, body, content_type="application/json", headers={"Authorization": f"Token {key}"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["metadata"])


def test_an_unsubscribe_link_asks_first(client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]) -> None:
    [touch] = queue_up(1)
    url = f"/u/{unsubscribe_token(str(touch.pk))}"
    response = client.get(url)
    assert response.status_code == 200
    assert b'<form method="post"' in response.content
    assert Suppression.objects.count() == 0
    assert client.head(url).status_code == 200
    assert Suppression.objects.count() == 0


def test_a_post_unsubscribes_at_once_and_from_everything(
    queue_up: Callable[..., list[Touch]],
    inbox: Inbox,
    harness: WorkerHarness,
    redis_of: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    [first] = queue_up(1)
    queue_up(2, recipient="r1@example.com")
    stranger = Client(enforce_csrf_checks=True)  # a mail provider, without a cookie (RFC 8058)
    with django_capture_on_commit_callbacks(execute=True):
        response = stranger.post(
            f"/u/{unsubscribe_token(str(first.pk))}",
            "List-Unsubscribe=One-Click",
            content_type="application/x-www-form-urlencoded",
        )
    assert response.status_code == 200
    assert set(Touch.objects.values_list("status", flat=True)) == {"suppressed"}
    harness.work()
    assert harness.sender.sent == []


@pytest.mark.parametrize("token", ["x", "01a205d6b677702988761291c628e85a.forged", "é", "a.b.c"])
def test_a_forged_link_is_a_404(client: Any, db: None, redis_of: Any, token: str) -> None:
    assert client.post(f"/u/{token}").status_code == 404
    assert Suppression.objects.count() == 0


@pytest.mark.parametrize(("permission", "statuses"), [("add_touch", [202, 200]), ("view_touch", [403, 200])])
def test_whoever_may_queue_may_follow_what_was_queued(
    client: Any,
    django_user_model: Any,
    queue_up: Callable[..., list[Touch]],
    inbox: Inbox,
    permission: str,
    statuses: list[int],
) -> None:
    [touch] = queue_up()
    user = django_user_model.objects.create_user("producer")
    user.user_permissions.set(Permission.objects.filter(codename=permission))
    headers = {"Authorization": f"Token {Token.objects.create(user=user).key}"}
    posted = client.post(URL, touch_data(), content_type="application/json", headers=headers)
    asked = client.get(f"{URL}/{touch.pk}", headers=headers)
    assert [posted.status_code, asked.status_code] == statuses


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_the_unsubscribe_link_refuses_other_methods_with_a_problem(client: Any, method: str) -> None:
    answer = getattr(client, method)("/u/token")
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer["Allow"] == "GET, HEAD, POST"


def test_json_of_any_depth_is_refused_in_words(client: Any, key: str) -> None:
    headers = {"Authorization": f"Token {key}"}
    answer = client.post(URL, "[" * 50_000, content_type="application/json", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.fixture
def producer(client: Any, django_user_model: Any, redis_of: Any) -> Callable[..., Any]:
    """``producer(name, codename …)`` is a call to the API by an account with those permissions."""

    def made(name: str, *codenames: str) -> Any:
        user = django_user_model.objects.create_user(name)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        headers = {"Authorization": f"Token {Token.objects.create(user=user).key}"}

        def call(method: str, url: str, data: Any = None) -> Any:
            return getattr(client, method)(
                url, data and json.dumps(data), content_type="application/json", headers=headers
            )

        return call

    return made


def test_an_account_s_key_is_its_own(producer: Any, inbox: Inbox) -> None:
    one, two = producer("one", "add_touch"), producer("two", "add_touch")
    first = one("post", URL, touch_data(1, idempotency_key="order-4711"))
    second = two("post", URL, touch_data(2, idempotency_key="order-4711"))
    assert [first.status_code, second.status_code] == [202, 202]
    assert first.json()["id"] != second.json()["id"]
    assert set(Touch.objects.values_list("recipient", flat=True)) == {"r1@example.com", "r2@example.com"}


def test_the_same_key_with_another_touch_is_422(producer: Any, inbox: Inbox) -> None:
    one = producer("one", "add_touch")
    first = one("post", URL, touch_data(1, idempotency_key="k"))
    answer = one("post", URL, touch_data(2, idempotency_key="k"))
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["type"] == "urn:avo:problem:idempotency-key-reused"
    again = one("post", URL, touch_data(1, idempotency_key="k"))
    assert (again.status_code, again.json()) == (202, first.json())


@pytest.mark.parametrize(
    ("codenames", "sees"),
    [
        (["add_touch"], False),
        (["view_touch"], False),
        (["view_touch", "view_touch_payload"], True),
        (["add_touch", "view_touch_payload"], True),
    ],
)
def test_payload_is_for_its_owner_and_for_who_may_see_it(
    producer: Any, inbox: Inbox, codenames: list[str], sees: bool
) -> None:
    owner, other = producer("owner", "add_touch"), producer("other", *codenames)
    made = owner("post", URL, touch_data(subject="For you", idempotency_key="order-4711")).json()["id"]
    Touch.objects.update(reason="450 <r1@example.com> later")
    touch = Touch.objects.get()
    touch.attempts.create(
        inbox=inbox, outcome="retry", detail="450 <r1@example.com> later", worker="w",
        started_at=touch.created_at, finished_at=touch.created_at,
    )  # fmt: skip
    mine, theirs = (who("get", f"{URL}/{made}").json() for who in (owner, other))
    assert (mine["recipient"], mine["subject"], mine["idempotency_key"]) == ("r1@example.com", "For you", "order-4711")
    assert theirs["status"] == mine["status"]
    assert (theirs == mine) is sees
    if not sees:
        assert (theirs["recipient"], theirs["subject"], theirs["idempotency_key"]) == (None, None, None)
        assert not any(secret in json.dumps(theirs) for secret in ("r1@example.com", "For you", "order-4711"))


def test_what_the_command_line_queued_is_nobody_s_own(
    producer: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    [touch] = queue_up(1)
    assert producer("one", "add_touch")("get", f"{URL}/{touch.pk}").json()["recipient"] is None

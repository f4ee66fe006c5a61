"""Every route of the admin, requested by a user with view permissions: no change, no recipient, no token."""

import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core import serializers
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.authtoken.models import Token

from avo_project.models import OperatorAction
from outreach.models import Attempt, Inbox, Suppression, Touch
from outreach.services.intake import Intake
from outreach.services.suppression import unsubscribe_token
from regime.models import MacroObservation, MacroSeries
from signals_app.models import Execution
from signals_app.store.group import ConsumerGroup
from tests.avo_project.test_response_headers import check_page
from tests.signals_app.conftest import fields
from throttling.models import PlanChange, TierOverride

pytestmark = pytest.mark.django_db
RECIPIENT = "eve.secret@example.org"
OWN_ACCOUNT = ("/admin/login/", "/admin/logout/", "/admin/password_change/")
SECRETS = (RECIPIENT, "secret subject", "secret body", "k" * 64)
SHOWN_ALIKE = (
    "/admin/",
    "/admin/jsi18n/",
    "/admin/autocomplete/",
    "/admin/password_change/done/",
)  # whatever the method
LIVE_PAGES = (
    "/admin/regime/regimecache/",
    "/admin/signals_app/livestream/",
    "/admin/outreach/outreachqueue/",
    "/admin/throttling/ratelimits/",
)
UNSAFE = ("post", "put", "patch", "delete")


@pytest.fixture
def everything(redis_of: Any, operator: Any, django_capture_on_commit_callbacks: Any) -> dict[str, str]:
    """A row in every table, an entry in every structure; what must not be seen."""
    now = timezone.now()
    inbox = Inbox.objects.create(address="anna@example.com", paused=True, pause_reason=f"550 <{RECIPIENT}> refused")
    draft = {"inbox": inbox.address, "recipient": RECIPIENT, "subject": "secret subject", "body": "secret body"}
    with django_capture_on_commit_callbacks(execute=True):
        touch = Touch.objects.get(pk=Intake.connect(time.time).accept(draft).touch_id)
    Touch.objects.filter(pk=touch.pk).update(reason=f"450 <{RECIPIENT}> later")
    Attempt.objects.create(
        touch=touch, inbox=inbox, outcome="retry", detail=f"<{RECIPIENT}>", worker="w", started_at=now, finished_at=now
    )
    Suppression.objects.create(recipient_key="k" * 64, recipient=RECIPIENT, reason=f"550 <{RECIPIENT}> unknown")
    Execution.objects.create(signal_id=uuid.uuid4(), symbol="A", direction="long", confidence=1, executed_at=now)
    TierOverride.objects.create(subject="user:user_a", tier="free", reason="r")
    PlanChange.objects.create(message_id="m", subject="user:user_a", plan="pro", is_active=True, event_at=now)
    series = MacroSeries.objects.create(id="GDP")
    MacroObservation.objects.create(series=series, date=now.date(), vintage=now.date(), value=1)
    Group.objects.create(name="desk")
    key = Token.objects.create(user=operator).key
    OperatorAction.objects.create(username="operator", role="outreach", action="Pause", outcome="failed", message="m")
    group = ConsumerGroup.connect("apex-group")
    group.make()
    entry = redis_of("signals").xadd("signals:live", fields(1)).decode()
    group.read("one", count=1, block_ms=0)
    return {"entry": entry, "touch": str(touch.pk), "token": key, "unsubscribe": unsubscribe_token(str(touch.pk))}


@pytest.fixture
def viewer(client: Client, django_user_model: Any) -> Client:
    """May view everything but payloads."""
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__startswith="view_").exclude(codename__contains="payload")
    )
    client.force_login(user)
    return client


def routes(patterns: Any, stem: str) -> Iterator[str]:
    for one in patterns:
        route = stem + str(one.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, route)
        elif isinstance(one, URLPattern):
            yield route


def admin_paths() -> list[str]:
    """Every route under /admin/ with its parameters filled in, for every object and every action there is."""
    return sorted({path for route in routes(get_resolver().url_patterns, "/") if route.startswith("/admin/")
                   for path in filled(route)})  # fmt: skip


def filled(route: str) -> Iterator[str]:
    if "(?P<app_label>" in route:
        yield from (re.sub(r"\(\?P<app_label>.*\)", app.label, route) for app in apps.get_app_configs())
    elif "<slug:action_name>" in route:
        yield from (route.replace("<slug:action_name>", name) for name in action_names())
    elif "<path:content_type_id>" in route:
        yield re.sub(r"<[^>]*>", "1", route)
    elif "<path:object_id>" in route or "<id>" in route:
        yield re.sub(r"<(path:object_id|id)>", object_id(route), route)
    elif "(?P<url>" not in route and "<" not in route:
        yield route


def action_names() -> set[str]:
    from django.contrib import admin

    return {action.name for page in admin.site._registry.values() for action in getattr(page, "live_actions", ())}


def object_id(route: str) -> str:
    _, _, app, model, *_ = route.split("/")
    row = apps.get_model(app, model)._default_manager.order_by("pk").first()
    assert row is not None, f"no row for {route}"
    return str(row.pk)


def whole_state(redis_of: Any) -> tuple[str, dict[bytes, bytes]]:
    """Every row but sessions, and every key of Redis as it is dumped."""
    models = [model for model in apps.get_models() if model._meta.managed and model._meta.label != "sessions.Session"]
    rows = [row for model in models for row in model._default_manager.order_by("pk")]
    redis = redis_of("default")
    return serializers.serialize("json", rows), {key: redis.dump(key) for key in sorted(redis.keys())}


def hostile_form(everything: dict[str, str]) -> dict[str, str]:
    """Whatever any view might take for a wish to change something."""
    return {
        "confirmed": "yes", "reason": "because", "post": "yes", "_save": "Save", "select_across": "1",
        "group": "apex-group", "consumer": "one", "entry_id": everything["entry"], "letter_id": everything["entry"],
        "from": "-", "to": "+", "inbox": "anna@example.com", "subject": "user:user_a", "tier": "pro",
        "form-TOTAL_FORMS": "0", "form-INITIAL_FORMS": "0", "name": "mine", "is_superuser": "on",
    }  # fmt: skip


def test_there_are_routes_to_walk(everything: dict[str, str]) -> None:
    paths = admin_paths()
    assert len(paths) > 80
    for known in (
        "/admin/outreach/outreachqueue/do/pause/",
        "/admin/signals_app/livestream/live.json",
        "/admin/auth/user/add/",
    ):
        assert known in paths


@pytest.mark.real_server
def test_who_may_only_look_changes_nothing_by_any_route_or_method(
    viewer: Client, everything: dict[str, str], redis_of: Any
) -> None:
    before = whole_state(redis_of)
    app_lists = {f"/admin/{app.label}/" for app in apps.get_app_configs()}
    for path in [path for path in admin_paths() if path not in OWN_ACCOUNT]:
        for action in ("", "cancel", "redrive", "pause", "resume", "delete_selected"):
            form = {**hostile_form(everything), "action": action, "_selected_action": everything["touch"]}
            for method in UNSAFE if not action else ("post",):
                answer = getattr(viewer, method)(
                    path, form, **({} if method == "post" else {"content_type": "application/json"})
                )
                is_refused = answer.status_code in (302, 403, 404, 405)
                is_a_list_again = (
                    method == "post" and answer.status_code == 200 and b'id="changelist"' in answer.content
                )
                is_harmless = path in SHOWN_ALIKE or path.endswith("/history/") or path in app_lists
                assert is_refused or is_a_list_again or is_harmless, (method, path, action, answer.status_code)
    assert whole_state(redis_of) == before


def test_without_the_permission_for_payloads_no_recipient_and_no_token_is_seen(
    viewer: Client, everything: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    secrets = (*SECRETS, everything["token"], everything["unsubscribe"])
    things = (everything["touch"], "anna@example.com", "SYM1", "user:user_a", everything["entry"])
    reasons = [f"{place}?of={of}" for place in ("/admin/console/explain/", "/api/explain") for of in things]
    searches = ["/admin/outreach/touch/?q=anna@example.com", "/admin/outreach/suppression/?q=unsub"]
    histories = [path + f"history.json?range={span}" for path in LIVE_PAGES for span in ("1h", "24h", "30d")]
    looked_up = ["/admin/regime/regimecache/?symbol=SYM1", "/admin/throttling/ratelimits/?subject=user:user_a"]
    own = [f"/api/outreach/touches/{everything['touch']}", "/api/signals", "/metrics", "/readyz", "/api/schema"]
    asked = [*admin_paths(), *reasons, *searches, *histories, *looked_up, *own]
    seen = 0
    for path in [path for path in asked if path not in OWN_ACCOUNT]:
        answer = viewer.get(path, HTTP_HOST="localhost")
        seen += answer.status_code == 200
        body = answer.content.decode(errors="replace")
        assert [secret for secret in secrets if secret in body] == [], path
    assert seen > 60
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_what_operators_did_names_no_recipient(
    viewer: Client, operator: Any, everything: dict[str, str], redis_of: Any
) -> None:
    """Whatever they wrote as their reason, and whether it worked or not."""
    desk = Client()
    desk.force_login(operator)
    lifted = Suppression.objects.create(recipient_key="l" * 64, recipient=RECIPIENT, reason=f"<{RECIPIENT}> unknown")
    why = {"reason": f"{RECIPIENT} asked", "change_reason": f"{RECIPIENT} asked", "confirmed": "yes", "post": "yes"}
    rows = why | {"_selected_action": everything["touch"]}
    desk.post("/admin/outreach/outreachqueue/do/resume/", why | {"inbox": "anna@example.com"})
    desk.post("/admin/outreach/touch/", rows | {"action": "cancel"})
    desk.post(f"/admin/outreach/touch/?q={RECIPIENT}", rows | {"action": "redrive", "select_across": "1"})
    desk.post("/admin/signals_app/livestream/do/redrive/", why | {"letter_id": everything["entry"]})
    desk.post(f"/admin/outreach/suppression/{lifted.pk}/delete/", why)
    assert OperatorAction.objects.filter(reason="[address] asked").count() >= 4
    for path in ("/admin/", *admin_paths()):
        if path not in OWN_ACCOUNT:
            assert RECIPIENT not in viewer.get(path).content.decode(errors="replace"), path


@pytest.mark.parametrize("path", ["touch", "suppression"])
def test_nobody_filters_by_what_they_may_not_see(
    viewer: Client, operator: Any, everything: dict[str, str], path: str
) -> None:
    """Or the number of rows found would tell it letter by letter."""
    url = f"/admin/outreach/{path}/?recipient__startswith=eve"
    assert viewer.get(url).status_code == 400
    viewer.force_login(operator)
    assert viewer.get(url).status_code == 200


@pytest.mark.real_server
def test_no_other_route_lets_a_viewer_change_anything(
    viewer: Client, everything: dict[str, str], redis_of: Any
) -> None:
    """The API too, signed in by session; counters of requests are not counted."""
    rows_before, keys_before = whole_state(redis_of)
    others = {
        re.sub(r"<[^>]*>", everything["touch"], route)
        for route in routes(get_resolver().url_patterns, "/")
        if not route.startswith("/admin/")
    }
    assert len(others) > 15
    for path in sorted(others):
        for method in UNSAFE:
            answer = getattr(viewer, method)(path, hostile_form(everything), content_type="application/json")
            assert answer.status_code in (401, 403, 404, 405, 501), (method, path, answer.status_code)
    rows, keys = whole_state(redis_of)
    assert rows == rows_before
    kept = {key for key in keys_before if b"outreach" in key or b"signals" in key or b"regime" in key}
    assert kept
    assert {key: keys.get(key) for key in kept} == {key: keys_before[key] for key in kept}


def test_with_the_permission_they_are_seen(operator_client: Client, everything: dict[str, str]) -> None:
    change = operator_client.get(f"/admin/outreach/touch/{everything['touch']}/change/").content.decode()
    assert RECIPIENT in change
    assert "secret body" in change
    assert RECIPIENT in operator_client.get("/admin/outreach/suppression/").content.decode()
    assert everything["token"] not in operator_client.get("/admin/authtoken/tokenproxy/").content.decode()


@pytest.mark.parametrize("kind", ["anonymous", "staff", "operator"])
def test_every_answer_of_the_admin_has_a_policy(
    kind: str, everything: dict[str, str], operator: Any, django_user_model: Any
) -> None:
    client = Client(enforce_csrf_checks=True)
    if kind != "anonymous":
        staff = django_user_model.objects.create_user("new", is_staff=True)
        client.force_login(operator if kind == "operator" else staff)
    seen = set()
    for path in [path for path in [*admin_paths(), "/admin/nowhere/", "/admin"] if path not in OWN_ACCOUNT]:
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            check_page(answer)
            assert "Cache-Control" in answer
            seen.add(answer.status_code)
    assert seen >= ({302, 403, 404} if kind == "anonymous" else {200, 403, 404})

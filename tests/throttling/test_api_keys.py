"""Keys of service accounts: shown once, kept as a digest, limited, revoked, noted; whatever way they are made."""

import io
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from rest_framework.authtoken.models import Token, TokenProxy

from avo_project.lib.redaction import redacted
from avo_project.models import OperatorAction
from throttling.domain.clerk_token import BadTokenError
from throttling.models import APIKey
from throttling.services import api_keys
from throttling.services.api_keys import APIKeys, LastUse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of", "throttling")]
PAGE = "/admin/throttling/apikey/"


@pytest.fixture
def service(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user("service")


def status(client: Any, key: str, route: str = "/api/signals") -> int:
    return int(client.get(route, HTTP_AUTHORIZATION=f"Token {key}").status_code)


def printed(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().strip()


def whole_database() -> str:
    models = [model for model in apps.get_models() if model._meta.managed]
    return serializers.serialize("json", [row for model in models for row in model._default_manager.all()])


def by_command(user: Any) -> str:
    return printed("drf_create_token", user.username).split()[2]


WAYS = {
    "objects.create": lambda user: Token.objects.create(user=user).key,
    "objects.create with a key": lambda user: Token.objects.create(user=user, key="a-key-of-their-own").key,
    "get_or_create": lambda user: Token.objects.get_or_create(user=user)[0].key,
    "save": lambda user: _saved(Token(user=user)),
    "the proxy": lambda user: TokenProxy.objects.create(user=user).key,
    "drf_create_token": by_command,
    "create_api_key": lambda user: printed("create_api_key", user.username, "--name", "nightly"),
    "objects.bulk_create": lambda user: Token.objects.bulk_create([Token(user=user, key=Token.generate_key())])[0].key,
}


def _saved(made: Any) -> str:
    made.save()
    return str(made.key)


@pytest.mark.parametrize("way", WAYS)
def test_a_key_works_and_its_text_is_kept_nowhere(client: Any, service: Any, way: str) -> None:
    key = WAYS[way](service)
    assert status(client, key) == 200
    assert status(client, key[:-1] + "x") == 401
    assert key not in whole_database()
    assert APIKey.objects.get().user == service
    assert status(client, key) == 200


def test_making_another_leaves_the_first_and_reset_does_not(client: Any, service: Any) -> None:
    first, second = by_command(service), by_command(service)
    mine = api_keys.issue(service, "mine")
    assert [status(client, key) for key in (first, second, mine)] == [200, 200, 200]
    third = printed("drf_create_token", "--reset", "service").split()[2]
    assert [status(client, key) for key in (first, second, mine, third)] == [401, 401, 200, 200]


@pytest.mark.django_db(transaction=True)
def test_tokens_from_before_stay_good(client: Any, django_user_model: Any) -> None:
    """Their text goes with the migration."""
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate([("throttling", "0001_initial")])
    try:
        nodes = [("throttling", "0001_initial"), *(node for node in newest if node[0] in ("auth", "authtoken"))]
        before = MigrationExecutor(connection).loader.project_state(nodes).apps
        user = before.get_model("auth", "User").objects.create(username="old", is_active=True)
        made = datetime(2026, 1, 2, tzinfo=UTC)
        before.get_model("authtoken", "Token").objects.create(user=user, key="5" * 40, created=made)
    finally:
        MigrationExecutor(connection).migrate(newest)
    assert Token.objects.count() == 0
    assert status(client, "5" * 40) == 200
    assert "5" * 40 not in whole_database()
    assert APIKey.objects.get().name == "DRF token"


def test_an_unusable_setting_is_explained(client: Any, service: Any) -> None:
    key = api_keys.issue(service, "short", timezone.now() + timedelta(hours=1))
    rejections = []
    for changes in ({"expires_at": timezone.now()}, {"revoked_at": timezone.now()}):
        APIKey.objects.update(**changes)
        rejections.append(client.get("/api/macro", HTTP_AUTHORIZATION=f"Bearer {key}"))
    assert [answer.status_code for answer in rejections] == [401, 401]
    assert [answer.json()["detail"] for answer in rejections] == [
        "The API key has expired.",
        "The API key was revoked.",
    ]
    assert status(client, "avo_" + "0" * 40) == 401


def test_scopes_limit_what_it_opens(client: Any, service: Any) -> None:
    service.user_permissions.set(Permission.objects.filter(codename="add_touch"))
    key = api_keys.issue(service, "reader", scopes=["signals:read"])
    assert [status(client, key, route) for route in ("/api/signals", "/api/limits", "/api/macro")] == [200, 200, 403]
    touch = client.post("/api/outreach/touches", {}, "application/json", HTTP_AUTHORIZATION=f"Token {key}")
    assert (touch.status_code, touch.json()["type"]) == (403, "urn:avo:problem:insufficient-scope")


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_good_key_is_remembered_for_two_seconds(service: Any, django_assert_num_queries: Any) -> None:
    ticks, key = Ticks(), api_keys.issue(service, "busy")
    checker = APIKeys(LastUse(None), 2.0, monotonic=ticks)
    assert checker.recall(key) is None
    with django_assert_num_queries(1):
        found = checker.check(key)
    with django_assert_num_queries(0):
        ticks.now += 1.9
        assert checker.recall(key) is found
    api_keys.revoke(APIKey.objects.all())
    ticks.now += 0.2
    assert checker.recall(key) is None
    assert checker.is_remembered(key)
    with pytest.raises(BadTokenError, match="revoked"):
        checker.check(key)
    assert not checker.is_remembered(key)


def test_one_that_ends_meanwhile_is_not_recalled(service: Any) -> None:
    clock = Ticks()
    clock.now = time.time()
    checker, key = (
        APIKeys(LastUse(None), 60.0, clock),
        api_keys.issue(service, "k", timezone.now() + timedelta(seconds=9)),
    )
    checker.check(key)
    clock.now += 10
    assert checker.recall(key) is None


def test_only_so_many_are_remembered(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_REMEMBERED", 2)
    checker, keys = APIKeys(LastUse(None), 2.0), [api_keys.issue(service, "k") for _ in range(3)]
    for key in keys:
        checker.check(key)
    assert [checker.is_remembered(key) for key in keys] == [False, True, True]


def test_a_write_reads_its_key_again(client: Any, throttling: Any, service: Any) -> None:
    throttling(API_KEY_REFRESH_SECONDS=3600)
    key = {"HTTP_AUTHORIZATION": f"Token {api_keys.issue(service, 'k')}"}
    assert client.get("/api/macro", **key).status_code == 200
    api_keys.revoke(APIKey.objects.all())
    assert client.get("/api/macro", **key).status_code == 200
    assert client.post("/api/outreach/touches", {}, "application/json", **key).status_code == 401


def test_the_last_use_is_written_down_for_all_keys_together(service: Any, django_assert_num_queries: Any) -> None:
    first, second, unused = (api_keys.issue(service, name) for name in ("a", "b", "c"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    last_use = LastUse(3600, lambda: moment)
    checker = APIKeys(last_use, 0)
    for key in (first, second, first):
        checker.check(key)
    with django_assert_num_queries(1):
        last_use.flush()
    assert dict(APIKey.objects.values_list("name", "last_used_at")) == {"a": moment, "b": moment, "c": None}
    assert checker.check(unused)


def test_the_database_away_is_503_and_charged_to_nobody(
    client: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def away(*args: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr(APIKeys, "_read", away)
    answer = client.get("/api/macro", HTTP_AUTHORIZATION="Token abc")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "RateLimit" not in answer.headers


def test_commands_make_list_and_revoke(client: Any, service: Any) -> None:
    ends = (timezone.now() + timedelta(days=1)).isoformat()
    key = printed("create_api_key", "service", "--name", "n", "--expires", ends, "--scope", "signals:read")
    assert re.fullmatch(r"avo_[0-9a-f]{40}", key)
    row = APIKey.objects.get()
    assert (row.name, row.scopes, row.expires_at.isoformat()) == ("n", ["signals:read"], ends)
    assert printed("revoke_api_key") == f"{key[:12]} service n"
    assert printed("revoke_api_key", key[:12]) == "revoked=1"
    assert status(client, key) == 401
    assert printed("revoke_api_key") == ""
    with pytest.raises(CommandError):
        printed("create_api_key", "nobody", "--name", "n")
    for moment in ("2020-01-01", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"):
        with pytest.raises(CommandError):
            printed("create_api_key", "service", "--name", "n", "--expires", moment)
    for unknown in (key, "avo_", ""):
        with pytest.raises(CommandError, match="0 active keys"):
            printed("revoke_api_key", unknown)


def form(user: Any, **changes: Any) -> dict[str, Any]:
    return {"user": user.pk, "name": "nightly", "scopes": ["signals:read"], "change_reason": "asked", **changes}


def test_the_admin_shows_a_new_key_once(operator_client: Any, client: Any, service: Any) -> None:
    assert operator_client.get(f"{PAGE}add/").status_code == 200
    answer = operator_client.post(f"{PAGE}add/", form(service))
    [key] = set(re.findall(r"avo_[0-9a-f]{40}", answer.content.decode()))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    row = APIKey.objects.get()
    assert (row.user, row.name, row.scopes) == (service, "nightly", ["signals:read"])
    for path in (PAGE, f"{PAGE}{row.pk}/change/", f"{PAGE}{row.pk}/history/", "/admin/avo_project/operatoraction/"):
        assert key not in operator_client.get(path).content.decode()
    assert key not in whole_database()
    operator_client.logout()
    assert status(client, key) == 200


def test_the_admin_revokes_with_a_reason(operator_client: Any, client: Any, service: Any) -> None:
    key = api_keys.issue(service, "nightly")
    chosen = {"action": "revoke", "_selected_action": APIKey.objects.get().pk, "confirmed": "yes"}
    operator_client.post(PAGE, chosen)
    assert APIKey.objects.get().revoked_at is None
    operator_client.post(PAGE, chosen | {"reason": "leaked"})
    assert OperatorAction.objects.filter(action="Revoke", reason="leaked", outcome="succeeded").count() == 1
    operator_client.logout()
    assert status(client, key) == 401


def test_only_a_superuser_makes_a_key_for_a_superuser(
    client: Any, service: Any, operator: Any, django_user_model: Any
) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["add_apikey", "view_apikey"]))
    client.force_login(staff)
    assert client.post(f"{PAGE}add/", form(operator)).status_code == 200
    assert not APIKey.objects.exists()
    client.post(f"{PAGE}add/", form(service))
    assert APIKey.objects.get().user == service
    assert client.post(f"{PAGE}{APIKey.objects.get().pk}/change/", form(service)).status_code == 403


def test_no_log_shows_a_key(client: Any, service: Any) -> None:
    for key in (api_keys.issue(service, "k"), "ak_2wW7TLnbFDvmmTHCNCqL", "oat_2wW7TLnbFDvmmTHCNCqL"):
        for text in (f"the key {key} was", f"?of={key}", f"Token {key}"):
            assert key[-16:] not in redacted(text)

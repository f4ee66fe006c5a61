"""The admin page for live state: permissions, confirmation and audit of actions."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission

from avo_project.console.live_admin import LiveStateAdmin
from avo_project.models import OperatorAction
from tests.avo_project import live_pages

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.avo_project.live_pages")]

PAGE = "/admin/auth/group/"
DRAIN = "/admin/auth/group/do/drain/"
CONFIRMED = {"confirmed": "yes", "reason": "too deep"}


@pytest.fixture(autouse=True)
def empty_page() -> Iterator[None]:
    yield
    live_pages.done.clear()
    live_pages.down = False


def staff_client(client: Any, django_user_model: Any, *codenames: str) -> Any:
    user = django_user_model.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def test_the_page_shows_its_figures_escaped(operator_client: Any) -> None:
    page = operator_client.get(PAGE).content.decode()
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "Zero is normal." in page
    assert "Drain…" in page


def test_redis_down_is_said_and_is_no_server_error(operator_client: Any) -> None:
    live_pages.down = True
    page = operator_client.get(PAGE)
    assert page.status_code == 503
    assert b"Redis is unavailable" in page.content


def test_without_the_view_permission_there_is_no_page(client: Any, django_user_model: Any) -> None:
    assert staff_client(client, django_user_model).get(PAGE).status_code == 403


def test_a_viewer_sees_no_button_and_may_not_act(client: Any, django_user_model: Any) -> None:
    viewer = staff_client(client, django_user_model, "view_group")
    assert "Drain" not in viewer.get(PAGE).content.decode()
    assert viewer.post(DRAIN, {**CONFIRMED, "lane": "a"}).status_code == 403
    assert live_pages.done == []


def test_an_action_is_post_asks_first_and_keeps_its_fields(operator_client: Any) -> None:
    assert operator_client.get(DRAIN).status_code == 405
    named = operator_client.post(DRAIN, {"confirmed": "yes"}).content.decode()
    assert "Required: lane. No changes were made." in named
    assert 'name="confirmed"' not in named
    confirmation = operator_client.post(DRAIN, {"lane": "a"}).content.decode()
    assert "3 touches would go." in confirmation
    assert '<input type="hidden" name="lane" value="a">' in confirmation
    assert "Affected: 3." in confirmation
    assert "<strong>lane: a</strong>" in confirmation
    assert live_pages.done == []


def test_without_a_reason_nothing_is_done(operator_client: Any) -> None:
    page = operator_client.post(DRAIN, {"confirmed": "yes", "lane": "a", "reason": " "}).content.decode()
    assert "A reason is required." in page
    assert live_pages.done == []
    assert not OperatorAction.objects.exists()


def test_a_confirmed_action_is_done_said_and_logged(operator_client: Any) -> None:
    page = operator_client.post(DRAIN, {**CONFIRMED, "lane": "a"}, follow=True)
    assert live_pages.done == [{"lane": "a"}]
    assert b"Drained 3 touches." in page.content
    assert LogEntry.objects.get().get_change_message() == "Drain: Drained 3 touches."
    row = OperatorAction.objects.get()
    assert (row.username, row.role, row.action, row.subject) == ("operator", "auth", "Drain", "lane: a")
    assert (row.reason, row.how_many, row.outcome) == ("too deep", 3, "succeeded")


def test_a_failed_action_says_so_and_is_logged(operator_client: Any) -> None:
    page = operator_client.post(DRAIN, {**CONFIRMED, "lane": "broken"}, follow=True)
    assert b"Drain failed: gone" in page.content
    assert "failed" in LogEntry.objects.get().get_change_message()
    row = OperatorAction.objects.get()
    assert (row.outcome, row.how_many, row.message) == ("failed", 0, "Drain failed: gone")


def test_an_action_that_cannot_be_previewed_is_not_begun(operator_client: Any) -> None:
    page = operator_client.post(DRAIN, {"lane": "unseen"}, follow=True)
    assert b"Drain was not started: gone" in page.content
    assert live_pages.done == []


@pytest.mark.parametrize("path", ["1/change/", "add/", "1/delete/", "do/unknown/"])
def test_the_stock_pages_of_a_model_are_not_there(operator_client: Any, path: str) -> None:
    assert operator_client.get(PAGE + path).status_code == 404


def test_a_page_without_panels_cannot_be_registered() -> None:
    class Empty(LiveStateAdmin):
        pass

    with pytest.raises(TypeError, match="panels"):
        AdminSite().register(Group, Empty)

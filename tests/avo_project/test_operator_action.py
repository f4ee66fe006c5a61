"""The audit log: append-only, readable with a permission, without secrets."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.http import QueryDict

from avo_project.console.actions import subject_of
from avo_project.models import AppendOnlyError, OperatorAction

LIST = "/admin/avo_project/operatoraction/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def row(operator: Any) -> OperatorAction:
    return OperatorAction.objects.create(
        user=operator, username="operator", role="outreach", action="Pause", subject="anna@example.com",
        reason="asked", how_many=1, outcome="succeeded", message="1 of 1 paused.",
    )  # fmt: skip


def test_a_row_is_written_once(row: OperatorAction) -> None:
    row.reason = "another"
    for attempt in (
        row.save,
        row.delete,
        OperatorAction.objects.all().delete,
        lambda: OperatorAction.objects.update(reason="another"),
        lambda: OperatorAction.objects.bulk_update([row], ["reason"]),
        lambda: OperatorAction.objects.update_or_create({"reason": "another"}, pk=row.pk),
        lambda: OperatorAction.objects.bulk_create(
            [row], update_conflicts=True, update_fields=["reason"], unique_fields=["pk"]
        ),
    ):
        with pytest.raises(AppendOnlyError):
            attempt()
    assert OperatorAction.objects.get().reason == "asked"


def test_a_row_survives_its_operator(row: OperatorAction, operator: Any) -> None:
    operator.delete()
    kept = OperatorAction.objects.get()
    assert (kept.user, kept.username) == (None, "operator")


def test_the_list_is_read_only(operator_client: Any, row: OperatorAction) -> None:
    page = operator_client.get(LIST).content.decode()
    assert "1 of 1 paused." in page
    assert operator_client.get(f"{LIST}{row.pk}/change/").status_code == 200
    for path in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
        assert operator_client.post(LIST + path, {"reason": "x", "post": "yes"}).status_code == 403
    operator_client.post(LIST, {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert OperatorAction.objects.get().reason == "asked"


def test_the_list_needs_its_permission(client: Any, django_user_model: Any) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(LIST).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_operatoraction"))
    assert client.get(LIST).status_code == 200


def test_a_subject_is_what_the_form_names() -> None:
    form = QueryDict("csrfmiddlewaretoken=x&confirmed=yes&reason=r&inbox=anna@example.com&note=eve@example.org&hours=")
    assert subject_of(form, ("inbox",)) == "inbox: anna@example.com; note: [address]"

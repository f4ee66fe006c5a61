"""Migrations run before an upgrade: the previous version must work with the new tables."""

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

OURS = ("avo_project", "regime", "signals_app", "outreach", "throttling")


def earlier_states() -> list[tuple[str, str]]:
    """Every migration of ours that another one of its app follows."""
    nodes = MigrationLoader(None, ignore_no_migrations=True).graph.nodes
    ours = sorted(node for node in nodes if node[0] in OURS)
    return [node for node, following in pairwise(ours) if following[0] == node[0]]


@pytest.mark.django_db
@pytest.mark.parametrize("node", earlier_states(), ids=lambda node: "-".join(node))
def test_an_earlier_version_can_use_the_tables_of_today(node: tuple[str, str]) -> None:
    """It finds every column it knows, and may leave out every other in what it writes."""
    before = MigrationLoader(None).project_state([node]).apps
    for model in filter(lambda one: one._meta.managed, before.get_app_config(node[0]).get_models()):
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
        known = {field.column for field in model._meta.concrete_fields}
        assert known <= {column.name for column in columns}, model._meta.label
        new = [column for column in columns if column.name not in known]
        assert [column.name for column in new if not column.null_ok and column.default is None] == []


@pytest.mark.django_db(transaction=True)
def test_a_key_of_two_accounts_keeps_the_tables_of_today(redis_of: Any) -> None:
    """docs/operations.md says so under "Upgrade and roll back"."""
    inbox = apps.get_model("outreach", "Inbox").objects.create(address="carla@example.com")
    touches = apps.get_model("outreach", "Touch").objects
    for number, owner in enumerate(("user:1", "user:2"), 1):
        row = {"recipient": "a@example.com", "recipient_key": "a", "idempotency_key": "order-4711", "owner": owner}
        touches.create(id=UUID(int=number), inbox=inbox, created_at=timezone.now(), **row)
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("outreach")
    try:
        with pytest.raises(IntegrityError):
            MigrationExecutor(connection).migrate([("outreach", "0004_mailboxes")])
        assert touches.filter(idempotency_key="order-4711").count() == 2
    finally:
        MigrationExecutor(connection).migrate(newest)

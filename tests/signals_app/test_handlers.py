import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from django.db.transaction import TransactionManagementError

from signals_app.domain.delivery import Handled, UnavailableError, batch_handler
from signals_app.domain.event import Event
from signals_app.models import Execution
from signals_app.services.handling import LoadedHandler, PaperExecutor, book_executions, load_handler
from tests.signals_app.conftest import event

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_one_row_a_signal_however_often_it_comes() -> None:
    executor = PaperExecutor(now=lambda: NOON)
    assert executor([event(1), event(2), event(1)]) == Handled(executed=2, duplicates=1)
    assert executor([event(2, symbol="OTHER"), event(3)]) == Handled(executed=1, duplicates=1)
    rows = list(Execution.objects.order_by("signal_id").values_list("signal_id", "symbol", "executed_at"))
    assert rows == [(uuid.UUID(int=number), "AAPL", NOON) for number in (1, 2, 3)]


@pytest.mark.django_db
def test_a_row_keeps_what_the_event_said() -> None:
    book_executions([event(7, direction="short", confidence=0.1234567890123, symbol="BTC/USDT")])
    row = Execution.objects.get()
    assert (row.direction, row.confidence, row.symbol) == ("short", 0.1234567890123, "BTC/USDT")
    assert str(row) == "short BTC/USDT"


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_book_is_unavailable_and_books_nothing(executions_missing: Any) -> None:
    executor = load_handler("signals_app.services.handling.book_executions")
    with executions_missing(), pytest.raises(UnavailableError, match=r"the database is unavailable: .*execution"):
        executor.handle([event(1)])
    assert executor.handle([event(1)]) == Handled(1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("raised", "unavailable"),
    [
        (OperationalError("database is locked"), True),
        (InterfaceError("connection already closed"), True),
        (ProgrammingError('relation "x" does not exist'), True),
        (InternalError("cache lookup failed"), True),
        (IntegrityError("UNIQUE constraint failed"), False),
        (DataError("value too long"), False),
        (DatabaseError("Save with update_fields did not affect any rows."), False),
        (TransactionManagementError("the transaction is broken"), False),
    ],
)
def test_database_errors_are_distinguished_from_errors_of_the_event(raised: Exception, unavailable: bool) -> None:
    def failing(given: Event) -> None:
        raise raised

    with pytest.raises(UnavailableError if unavailable else type(raised)):
        LoadedHandler(takes_batch=False, call=failing).handle([event(1)])


def handle_one(given: Event) -> None:
    assert given.symbol == "AAPL"


@batch_handler
def handle_many(given: list[Event]) -> None:
    assert isinstance(given, list)


class Counting:
    takes_batch = True

    def __call__(self, given: list[Event]) -> Handled:
        return Handled(executed=0, duplicates=len(given))


@pytest.mark.parametrize(
    ("name", "takes_batch", "result"),
    [("handle_one", False, Handled(1)), ("handle_many", True, Handled(1)), ("Counting", True, Handled(0, 1))],
)
def test_any_callable_is_a_handler(name: str, takes_batch: bool, result: Handled) -> None:
    loaded = load_handler(f"{__name__}.{name}")
    assert loaded.takes_batch is takes_batch
    assert loaded.handle([event(1)]) == result


def test_the_default_handler_takes_batches() -> None:
    assert load_handler("signals_app.services.handling.book_executions").takes_batch
    assert load_handler("signals_app.services.handling.ignore").handle([event(1), event(2)]) == Handled(2)


def test_the_public_interface_loads_without_django() -> None:
    names = "Event, RejectError, RetryLaterError, Handled, batch_handler"
    code = (
        f"import sys; from signals_app.handlers import {names}; print(sorted({{'django', 'redis'}} & set(sys.modules)))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr


@pytest.mark.parametrize("name", ["ignore", "PaperExecutor"])
def test_a_former_path_is_refused_with_the_current_one(name: str) -> None:
    with pytest.raises(ImportError, match=f"handlers.{name} has moved; use signals_app.services.handling.{name}$"):
        load_handler(f"signals_app.roles.handlers.{name}")
    assert load_handler(f"signals_app.services.handling.{name}").takes_batch


def test_what_is_no_handler_is_refused_by_its_path() -> None:
    with pytest.raises(ImportError, match="nowhere"):
        load_handler("nowhere.handle")
    with pytest.raises(TypeError, match="NOON cannot be called"):
        load_handler(f"{__name__}.NOON")

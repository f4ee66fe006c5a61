"""A result that the database rejects: the rest of its batch is written, and the worker continues."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection

from outreach.domain.reservation import Outcome
from outreach.models import Attempt, Inbox, Touch
from outreach.store.inspection import QueueView
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db(transaction=True)  # foreign keys are checked at the commit
Queue = Callable[..., list[Touch]]


def states() -> dict[str, str]:
    return dict(Touch.objects.values_list("recipient", "status"))


@contextmanager
def refusing(failure: Exception, said: str) -> Iterator[None]:
    """A database that rejects rows that contain ``said``."""

    def refuse(execute: Any, sql: str, parameters: Any, *rest: Any) -> Any:
        if said in str(parameters):
            raise failure
        return execute(sql, parameters, *rest)

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.parametrize("failure", [IntegrityError("CHECK constraint failed"), DataError("value too long")])
def test_a_result_that_is_refused_is_unknown_and_stops_no_other(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, view: QueueView, caplog: Any, failure: Exception
) -> None:
    queue_up(4)
    harness.sender.answers["r2@example.com"] = Outcome("retry", 450, "odd words of r2@example.com")
    with refusing(failure, "odd words"):
        harness.work()
    assert states() == {f"r{n}@example.com": "unknown" if n == 2 else "sent" for n in range(1, 5)}
    assert [one.outcome for one in Attempt.objects.filter(touch__recipient="r2@example.com")] == ["unknown"]
    assert view.depths([inbox.pk]) == {inbox.pk: 0}
    assert "the database rejected the result retry, marked unknown" in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.parametrize("kind", ["sent", "retry", "suppress", "give_up"])
def test_a_touch_that_left_the_ledger_meanwhile_leaves_the_queue(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, view: QueueView, caplog: Any, kind: Any
) -> None:
    [_, gone, _] = queue_up(3)
    harness.sender.answers["r2@example.com"] = Outcome(kind, 450)
    harness.worker.step()
    assert len(harness.pool.in_flight) == 3
    Touch.objects.filter(pk=gone.pk).delete()
    harness.work()
    assert states() == {"r1@example.com": "sent", "r3@example.com": "sent"}
    assert view.depths([inbox.pk]) == {inbox.pk: 0}
    assert str(gone.pk) in caplog.text


@pytest.mark.parametrize("detail", ["a\0b", "half \ud800 of a pair", "long " * 1000])
@pytest.mark.parametrize("code", [-1, 10**9])
def test_whatever_a_server_says_can_be_written(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, detail: str, code: int
) -> None:
    harness.sender.answer = Outcome("give_up", code, detail)
    queue_up(2)
    harness.work()
    assert set(states().values()) == {"dead"}
    written = Attempt.objects.first()
    assert written is not None
    assert (written.code, written.detail[:4]) == (0, detail[:4].replace("\0", "?"))

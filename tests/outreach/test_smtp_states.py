"""The state of a touch after each failure of a mail server: sender, worker and ledger together."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.models import Inbox, Suppression, Touch
from outreach.services.sender_pool import SenderPool
from outreach.services.senders.email import EmailSender
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness
from tests.outreach.smtp_server import smtp_server

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("answers", "status", "is_suppressed", "is_paused"),
    [
        ({}, "sent", False, False),
        ({"RCPT": "421 4.3.2 shutting down"}, "retrying", False, False),
        ({"RCPT": "450 4.2.0 greylisted"}, "retrying", False, False),
        ({"RCPT": "550 5.1.1 no such user"}, "dead", True, False),
        ({"RCPT": "550 5.7.1 blocked"}, "waiting", False, True),
        ({"CONTENT": "554 5.6.0 bad content"}, "dead", False, False),
        ({"DATA": "drop"}, "retrying", False, False),
        ({"CONTENT": "drop"}, "unknown", False, False),
        ({"RCPT": "hang"}, "retrying", False, False),
        ({"RCPT": "nonsense"}, "retrying", False, False),
        ({"CONTENT": "nonsense"}, "unknown", False, False),
        ({"CONTENT": "hang"}, "unknown", False, False),
    ],
)
def test_each_failure_ends_in_its_state(
    inbox: Inbox,
    queue_up: Callable[..., list[Touch]],
    make_harness: Callable[..., WorkerHarness],
    settings: Any,
    clock: FixedClock,
    answers: dict[str, str],
    status: str,
    is_suppressed: bool,
    is_paused: bool,
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    harness = make_harness()
    harness.pool = harness.worker._pool = SenderPool(
        1, {"email": lambda: EmailSender(OutreachConf(smtp_timeout_seconds=0.5))}, clock
    )
    queue_up(1)
    with smtp_server(**answers) as (script, settings.EMAIL_PORT):
        harness.work()
        harness.pool.shutdown()
    inbox.refresh_from_db()
    assert Touch.objects.get().status == status
    assert (Suppression.objects.exists(), inbox.paused) == (is_suppressed, is_paused)
    assert len(script.mails) == (1 if status == "sent" or "CONTENT" in answers else 0)

"""Wrong passwords are slowed down by account and by address, and right ones cost nothing."""

import re
import threading
from typing import Any

import pytest
from django.test import Client

from avo_project.models import OperatorAction
from throttling import login_guard
from throttling.models import TierOverride

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of", "throttling")]

LOGIN, CHANGE = "/admin/login/", "/admin/password_change/"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


def log_in(client: Client, password: str, username: str = "operator", address: str = HERE) -> Any:
    return client.post(LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address)


def test_guessing_is_rejected_until_the_wait_is_over(client: Client, operator: Any) -> None:
    answers = [log_in(client, f"guess {number}") for number in range(60)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 55
    rejected = answers[-1]
    assert 0 < int(rejected.headers["Retry-After"]) <= 63
    assert re.search(r"Too many failed log-ins. Try again in \d", rejected.content.decode())
    assert rejected.headers["Content-Type"].startswith("text/html")


def test_an_account_is_protected_from_other_addresses_too(client: Client, operator: Any) -> None:
    for number in range(5):
        log_in(client, "wrong", address=f"198.51.100.{number}")
    assert log_in(client, "operator", address=ELSEWHERE).status_code == 429
    assert log_in(client, "wrong", username="other", address=ELSEWHERE).status_code == 200


def test_an_address_cannot_try_one_account_after_the_other(client: Client, operator: Any) -> None:
    for number in range(5):
        log_in(client, "wrong", username=f"account {number}")
    assert log_in(client, "operator").status_code == 429
    assert log_in(client, "operator", address=ELSEWHERE).status_code == 302


@pytest.mark.parametrize("spelling", ["operator", " operator", "operator\t", "\uff4fperator"])
def test_no_spelling_of_an_account_gets_more_tries(client: Client, operator: Any, spelling: str) -> None:
    for number in range(5):
        log_in(client, "wrong", username=spelling, address=f"198.51.100.{number}")
    assert log_in(client, "operator", address=ELSEWHERE).status_code == 429


def test_the_right_password_costs_nothing(client: Client, operator: Any) -> None:
    assert [log_in(client, "operator").status_code for _ in range(12)] == [302] * 12


def test_what_is_no_guess_costs_nothing(client: Client, operator: Any) -> None:
    assert [log_in(client, "").status_code for _ in range(12)] == [200] * 12
    assert log_in(client, "operator").status_code == 302


def test_the_old_password_cannot_be_guessed_by_who_has_a_session(operator_client: Client) -> None:
    fields = {"old_password": "wrong", "new_password1": "long enough 1", "new_password2": "long enough 1"}
    assert [operator_client.post(CHANGE, fields).status_code for _ in range(7)] == [200] * 5 + [429] * 2
    assert operator_client.get(CHANGE).status_code == 200


def test_a_new_password_that_will_not_do_is_no_guess(operator_client: Client) -> None:
    fields = {"old_password": "operator", "new_password1": "short", "new_password2": "short"}
    assert [operator_client.post(CHANGE, fields).status_code for _ in range(7)] == [200] * 7


def test_a_block_is_in_the_audit_once(client: Client, operator: Any) -> None:
    for _ in range(9):
        log_in(client, "wrong")
    rows = OperatorAction.objects.order_by("subject")
    assert [(row.subject, row.action, row.outcome, row.how_many) for row in rows] == [
        (f"login:{subject}", "Block log-ins", "failed", 5) for subject in (f"address:{HERE}", f"user:{operator.pk}")
    ]
    assert rows[0].message == "5 failed log-ins within 1 min. Further ones are rejected."


def test_an_unknown_name_is_counted_and_kept_nowhere(client: Client, redis_of: Any) -> None:
    name = "my password, typed in the wrong field"
    for number in range(6):
        answer = log_in(client, "wrong", username=name, address=f"198.51.100.{number}")
    assert answer.status_code == 429
    assert not any(b"password" in key for key in redis_of("throttling").keys("*"))
    assert not OperatorAction.objects.filter(subject__contains="password").exists()


def test_an_operator_sees_a_block_and_ends_it(client: Client, operator: Any) -> None:
    other = Client()
    other.force_login(operator)
    for _ in range(6):
        log_in(client, "wrong")
    page = "/admin/throttling/ratelimits/"
    for subject in (f"login:user:{operator.pk}", f"login:address:{HERE}"):
        assert "Tier failed_login: failed log-ins." in other.get(page, {"subject": subject}).content.decode()
        other.post(f"{page}do/reset/", {"subject": subject, "confirmed": "yes", "reason": "it was me"})
    login_guard.process.forget()
    assert log_in(client, "operator").status_code == 302


def test_a_block_cannot_be_overridden(operator_client: Client) -> None:
    fields = {
        "subject": "login:address:192.0.2.1",
        "tier": "pro",
        "reason": "r",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    operator_client.post("/admin/throttling/tieroverride/add/", fields)
    assert not TierOverride.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_passwords_are_checked_one_at_a_time_and_few_wait(
    rf: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that serve requests must not all wait for passwords."""
    began, may_end = threading.Event(), threading.Event()
    running: list[int] = []

    def view() -> Any:
        running.append(1)
        began.set()
        assert may_end.wait(10)
        assert len(running) == 1, "two passwords at once"
        running.pop()
        return login_guard.HttpResponse()

    def post() -> Any:
        return login_guard.guarded(rf.post(LOGIN), "operator", view)

    monkeypatch.setattr(login_guard, "_account", lambda name: "name:" + "0" * 32)
    monkeypatch.setattr(login_guard, "_page", lambda request, status, text, seconds: (status, seconds))
    threads = [threading.Thread(target=post) for _ in range(3)]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    while login_guard._at_most_waiting._value:
        assert threads[0].is_alive()
    assert post() == (503, 2)
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert login_guard._at_most_waiting._value == 3

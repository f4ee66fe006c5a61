"""The management commands of outreach."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from outreach.models import Inbox, Touch
from outreach.store.inspection import QueueView
from tests.outreach.conftest import touch_data

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_set_inbox_creates_and_changes_only_what_is_named() -> None:
    run("set_inbox", "anna@example.com", "--per-minute", "5", "--window", "08:00-18:00", "--timezone", "Europe/Madrid")
    line = run("set_inbox", "anna@example.com", "--per-day", "100", "--min-gap", "1.5", "--pause")
    assert line == "anna@example.com (email): 5/min, 100/day, gap 1.5 s, 08:00-18:00 Europe/Madrid, paused"
    run("set_inbox", "anna@example.com", "--resume")
    assert not Inbox.objects.get().paused


def test_set_inbox_names_the_sender_and_where_replies_go() -> None:
    line = run("set_inbox", "anna@example.com", "--display-name", "Anna Müller", "--reply-to", "replies@example.com")
    assert line == 'anna@example.com (email): as "Anna Müller", replies to replies@example.com'
    assert run("set_inbox", "anna@example.com", "--display-name", "", "--reply-to", "").endswith("no limits")


NO_PLACES = ("localtime", "Factory", "posixrules", "posix/Europe/Madrid", "right/Europe/Madrid", "europe/madrid", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "address"),
        (["a@example.com", "--window", "8-18:00"], "window"),
        (["a@example.com", "--window", "08:00-08:00"], "never be open"),
        (["a@example.com", "--window", "08:00+02:00-18:00"], "window"),
        (["a@example.com", "--window", "08:00Z-18:00Z"], "window"),
        (["a@example.com", "--window", "08:00-18:00+01:00"], "window"),
        (["a@example.com", "--timezone", "Mars/Olympus"], "timezone"),
        *((["a@example.com", "--timezone", name], "timezone") for name in NO_PLACES),
        (["a@example.com", "--per-minute", "0"], "per_minute"),
        (["a@example.com", "--min-gap", "-1"], "min_gap"),
        (["a@example.com", "--min-gap", "nan"], "min_gap"),
        (["a@example.com", "--warm-up", "20,-10,200"], "warm_up_step"),
        (["@avo", "--channel", "pigeon"], "channel"),
        (["@avo", "--channel", "dm"], "url"),
        (["@avo", "--channel", "dm", "--url", "ftp://x/"], "url"),
        (["@avo", "--channel", "dm", "--url", "https://[fec0::1]/"], "url: the URL's host is not a public address"),
        (["a@example.com\r\nBcc: x"], "address"),
        (["a@example.com", "--display-name", "x" * 101], "display_name"),
        (["a@example.com", "--display-name", "A\nBcc: x"], "display_name"),
        (["a@example.com", "--reply-to", "nobody"], "reply_to"),
        (["@avo", "--channel", "dm", "--display-name", "Avo"], "display_name: is not possible on the channel dm"),
    ],
)
def test_set_inbox_names_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("set_inbox", *arguments)
    assert Inbox.objects.count() == 0


def test_an_inbox_whose_settings_are_no_longer_allowed_can_be_paused() -> None:
    Inbox.objects.create(address="@avo", channel="dm", url="http://hooks.example.com/", timezone="Factory")
    with pytest.raises(CommandError, match="url"):
        run("set_inbox", "@avo", "--per-day", "5")
    assert run("set_inbox", "@avo", "--pause") == "@avo (dm): paused"
    assert run("set_inbox", "@avo", "--url", "https://hooks.example.com/", "--timezone", "UTC", "--resume")


def test_set_inbox_on_a_disk_that_takes_no_writes_is_one_line() -> None:
    def read_only(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("SELECT"):
            return execute(sql, *rest)
        raise OperationalError("attempt to write a readonly database")

    with connection.execute_wrapper(read_only), pytest.raises(CommandError) as raised:
        run("set_inbox", "a@example.com")
    assert str(raised.value) == (
        "the database failed: attempt to write a readonly database. "
        "The inbox is unchanged; run it again once the database is writable."
    )


def test_touches_go_from_a_file_to_mail_files(redis_of: Any, tmp_path: Path, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    run("set_inbox", "anna@example.com")
    source = tmp_path / "touches.ndjson"
    source.write_text("\n".join(json.dumps(touch_data(number, idempotency_key=f"k{number}")) for number in range(5)))
    assert run("enqueue_touches", str(source)) == "queued=5 repeated=0 suppressed=0 rejected=0"
    assert run("enqueue_touches", str(source)) == "queued=0 repeated=5 suppressed=0 rejected=0"
    assert (
        run("outreach_worker", "--stop-when-idle", "--worker", "w")
        == "sent=5 retried=0 dead=0 recovered=0 suppressed=0"
    )
    mails = "".join(path.read_text() for path in (tmp_path / "mail").iterdir())
    assert mails.count("List-Unsubscribe-Post: List-Unsubscribe=One-Click") == 5


def test_a_bad_line_makes_the_exit_status_1(redis_of: Any, tmp_path: Path, capsys: Any) -> None:
    source = tmp_path / "touches.ndjson"
    source.write_text('{"inbox": 1}\n')
    with pytest.raises(SystemExit) as ended:
        run("enqueue_touches", str(source))
    assert ended.value.code == 1
    assert capsys.readouterr().err == "line 1: inbox: must be text, not a number\n"


def test_a_missing_file_is_said(redis_of: Any) -> None:
    with pytest.raises(CommandError, match="cannot read /nowhere: No such file"):
        run("enqueue_touches", "/nowhere")


def test_reconcile_puts_back_what_was_lost(redis_of: Any, tmp_path: Path) -> None:
    run("set_inbox", "anna@example.com")
    source = tmp_path / "touches.ndjson"
    source.write_text("\n".join(json.dumps(touch_data(number)) for number in range(3)))
    run("enqueue_touches", str(source))
    redis_of("outreach").flushall()
    assert json.loads(run("reconcile_outreach", "--json")) == {"unfinished": 3, "back": 3, "adopted": 0}
    assert run("reconcile_outreach") == "unfinished=3 back=0 adopted=0"
    assert QueueView.connect().depths([Inbox.objects.get().pk]) == {Inbox.objects.get().pk: 3}


def test_the_sample_touches_are_good(redis_of: Any, settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    for name in ("anna", "ben", "carla"):
        run("set_inbox", f"{name}@example.com")
    sample = Path(settings.BASE_DIR) / "outreach/sample_data/touches.ndjson"
    assert run("enqueue_touches", str(sample)).startswith("queued=7 repeated=0")
    assert Touch.objects.filter(idempotency_key__startswith="sample-").count() == 7


def test_presets_and_warm_up(redis_of: Any) -> None:
    line = run("set_inbox", "anna@example.com", "--preset", "gmail", "--per-day", "300", "--warm-up", "20,10,200")
    assert line == "anna@example.com (email): 20/min, 300/day, gap 2 s, warm-up 20+10/day to 200"
    assert "warm-up" not in run("set_inbox", "anna@example.com", "--warm-up", "off")
    with pytest.raises(CommandError, match="warm_up"):
        run("set_inbox", "anna@example.com", "--warm-up", "lots")


def test_explain_and_forecast(redis_of: Any, tmp_path: Path) -> None:
    assert run("outreach_forecast") == "No touches are queued."
    assert run("outreach_forecast", "--json") == ""
    run("set_inbox", "anna@example.com", "--pause")
    source = tmp_path / "touches.ndjson"
    source.write_text("\n".join(json.dumps(touch_data(number)) for number in range(3)))
    run("enqueue_touches", str(source))
    touch = Touch.objects.first()
    assert "Waits because its inbox is paused." in run("explain", "Anna@Example.com")
    assert touch is not None
    [answer] = json.loads(run("explain", str(touch.pk), "--json"))["answers"]
    assert answer["because"] == ["Waits because its inbox is paused."]
    assert "3 left; held by paused" in run("outreach_forecast", "--days", "2")
    assert json.loads(run("outreach_forecast", "--json"))["left"] == 3
    with pytest.raises(CommandError, match="'nobody'"):
        run("explain", "nobody")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("redrive_touches --per-minute 0", "--per-minute: must be between 1 and 1000000, not 0"),
        ("redrive_touches --per-minute -5", "--per-minute: must be between 1 and 1000000, not -5"),
        ("redrive_touches --since yesterday", "--since: invalid"),
        ("outreach_forecast --days -1", "--days: must be between 1 and 366, not -1"),
        ("outreach_forecast --days 1000000000000", "--days: must be between 1 and 366, not 1000000000000"),
        (f"outreach_worker --worker {'w' * 101}", "--worker: must be 1 to 100 printable characters"),
        ("outreach_worker --worker a\0b", "--worker: must be 1 to 100 printable characters"),
        ("outreach_worker --concurrency 0", "--concurrency: must be between 1 and 1000, not 0"),
        ("outreach_worker --concurrency 1000000", "--concurrency: must be between 1 and 1000, not 1000000"),
        ("outreach_worker --lease-seconds nan", "--lease-seconds: must be between 1 and 86400, not nan"),
        ("outreach_worker --lease-seconds inf", "--lease-seconds: must be between 1 and 86400, not inf"),
        ("outreach_worker --lease-seconds 1e300", "--lease-seconds: must be between 1 and 86400, not 1e300"),
        ("outreach_worker --lease-seconds -1", "--lease-seconds: must be between 1 and 86400, not -1"),
        ("outreach_worker --lease-seconds 0.5", "--lease-seconds: must be between 1 and 86400, not 0.5"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(command: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run(*command.split())


def test_redrive_and_forget(redis_of: Any, tmp_path: Path) -> None:
    run("set_inbox", "anna@example.com")
    source = tmp_path / "touches.ndjson"
    source.write_text(json.dumps(touch_data(1)))
    run("enqueue_touches", str(source))
    Touch.objects.update(status="dead", reason="554 bad content", finished_at="2026-01-02T00:00:00Z")
    assert run("redrive_touches", "--reason", "554", "--dry-run") == "dead=1 redriven=0"
    with pytest.raises(CommandError, match=r"there is no inbox 'nobody@example\.com'"):
        run("redrive_touches", "--inbox", "nobody@example.com")
    assert run("redrive_touches", "--inbox", "ANNA@example.com", "--since", "2026-01-01") == "dead=0 redriven=1"
    assert run("forget_recipient", "r1@example.com") == "erased=1"

"""`make run` on an empty data folder: every step of the main job, through HTTP and the commands, and then its end."""

import email
import email.policy
import json
import re
import signal
import time
from typing import Any

import httpx

from tests.end_to_end.system import STARTS_WITHIN_SECONDS, System, data_folder, eventually, processes_of, start_system

STOPS_WITHIN_SECONDS = 10


def token_of(system: System) -> dict[str, str]:
    return {"Authorization": f"Token {(system.data_dir / 'operator_token').read_text()}"}


def test_a_regime_is_answered_for_a_euro_pair(system: System) -> None:
    state = system.get("/api/intelligence/regime/EURUSD=X").json()
    assert state["symbol"] == "EURUSD=X"
    assert 0 <= state["age_seconds"] < 600
    assert set(state["scores"]) == {"1w", "2w", "1mo", "2mo", "3mo", "6mo", "1y", "2y"}
    assert set(state["dominant"].values()) <= {"bull", "bear", "sideways", "volatile", "calm"}
    assert all(0 <= score <= 1 for scores in state["scores"].values() for score in scores.values())


def test_the_collection_and_the_macro_series_are_answered(system: System) -> None:
    assert system.get("/api/intelligence/regime?limit=5").json()["symbols"] >= 29
    macro = system.get("/api/macro").json()
    assert "A261RX1Q020SBEA" in json.dumps(macro)
    assert system.get("/api/macro/A261RX1Q020SBEA?vintage=2016-06-29").status_code == 200


def test_every_state_has_a_stamp_and_a_life_of_at_most_a_day(system: System) -> None:
    redis = system.redis()
    keys = list(redis.scan_iter("argus:regime:*", count=1000))
    assert len(keys) >= 29
    assert all(0 < redis.ttl(key) <= 86_400 and redis.hexists(key, "computed_at") for key in keys)


def test_the_signals_are_booked_and_listed(system: System) -> None:
    assert system.get("/api/signals").status_code == 401
    signals = system.get("/api/signals?limit=100", headers=token_of(system)).json()
    assert "EURUSD=X" in json.dumps(signals)
    count = "from signals_app.models import Execution; print(Execution.objects.count())"
    assert eventually(
        lambda: int(system.manage("shell", "--no-imports", "-c", count)) == system.redis().xlen("signals:live")
    )


def test_the_lag_is_nothing(system: System) -> None:
    def lag() -> dict[str, object]:
        [group] = json.loads(system.manage("signal_lag", "--json"))["groups"]
        return group if (group["pending"], group["lag"]) == (0, 0) else {}

    assert eventually(lag)["name"] == "apex-group"


def test_touches_leave_as_mail_files(system: System) -> None:
    files = eventually(lambda: list((system.data_dir / "mail").glob("*")))
    message = email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)
    assert message["Message-ID"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_admin_shows_the_queue_and_the_stream(system: System) -> None:
    with system.operator() as browser:
        index = browser.get("/admin/").text
        pages = [
            link
            for link in re.findall(r'href="(/admin/(?:signals_app|outreach|regime|throttling)/[^"]+/)"', index)
            if "/add" not in link
        ]
        assert len(pages) >= 4
        shown = {page: browser.get(page) for page in pages}
        assert {page: answer.status_code for page, answer in shown.items()} == dict.fromkeys(pages, 200)
        everything = " ".join(answer.text for answer in shown.values())
        assert "apex-group" in everything
        assert "anna@example.com" in everything
        assert browser.get("/static/admin/css/base.css").status_code == 200


def test_the_live_feed_moves_by_itself() -> None:
    """The README's `curl -N` line, on a fresh system that nobody sends anything to."""
    with data_folder() as folder:
        demo = start_system(folder, AVO_DEMO_SIGNALS_PER_MINUTE="")
        try:
            eventually(lambda: demo.get("/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            eventually(lambda: httpx.get(f"http://127.0.0.1:{demo.port + 100}/livez").status_code == 200)
            signal_seen = first_live_signal(demo, within_seconds=60)
        finally:
            status, output = demo.stop()
        assert status == 0, output
        assert signal_seen["extra"]["cycle"].startswith("demo of 20")
        assert signal_seen["symbol"].startswith("EUR")
        assert processes_of(folder) == {}


def first_live_signal(system: System, within_seconds: float) -> dict[str, Any]:
    url, started = f"http://127.0.0.1:{system.port + 100}/api/signals/stream", time.monotonic()
    with httpx.stream("GET", url, headers=token_of(system), timeout=within_seconds) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                return dict(json.loads(line.removeprefix("data: ")))
            assert time.monotonic() - started < within_seconds, line
    raise AssertionError("the server ended the feed")


def test_it_stops_without_a_trace_and_starts_again_with_its_data() -> None:
    with data_folder() as folder:
        first = start_system(folder)
        eventually(lambda: first.get("/api/intelligence/regime/EURUSD=X").status_code == 200, STARTS_WITHIN_SECONDS)
        eventually(lambda: first.redis().xlen("signals:live") > 0)
        published = first.redis().xlen("signals:live")
        stop_and_check(first, signal.SIGTERM)

        started = time.monotonic()
        second = start_system(folder)
        eventually(lambda: second.get("/api/intelligence/regime/EURUSD=X").status_code == 200, STARTS_WITHIN_SECONDS)
        print(f"second start: {time.monotonic() - started:.1f} s")
        assert second.redis().xlen("signals:live") == published  # the same data brings no new signal
        stop_and_check(second, signal.SIGINT)


def stop_and_check(system: System, number: int) -> None:
    started = time.monotonic()
    status, output = system.stop(number)
    assert time.monotonic() - started < STOPS_WITHIN_SECONDS, output
    assert status == 0, output
    assert processes_of(system.data_dir) == {}
    assert "Traceback" not in output

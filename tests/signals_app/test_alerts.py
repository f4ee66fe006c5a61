import http.server
import json
import threading
from typing import Any

import pytest
from redis.exceptions import RedisClusterException

from avo_project.runtime.stop_flag import StopFlag
from signals_app.domain.lag import LagLimits, StreamFigures
from signals_app.services.alerts import LagAlert, webhook
from tests.signals_app.test_lag import figures

BEHIND = figures(pending=1_001)
WELL = figures(pending=0)


def test_an_alert_is_sent_when_a_limit_is_exceeded_and_on_recovery() -> None:
    now, sent = [WELL], list[str]()
    alert = LagAlert(lambda: now[0], LagLimits(), [sent.append])
    steps = []
    for second, state in ((10, WELL), (20, BEHIND), (21, WELL), (30, figures(pending=2_000)), (40, WELL), (50, WELL)):
        now[0] = state
        steps.append(alert.step(second))
    assert steps == [False, True, False, False, True, False]
    assert sent == ["signals: g: 1001 pending, 1000 at most", "signals: all groups are within their limits again"]


def test_two_groups_with_a_common_prefix_are_two_alerts() -> None:
    first = figures(name="desk:a", pending=1_001)
    both = StreamFigures("signals:live", 5, [*first.groups, *figures(name="desk:b", pending=1_001).groups])
    now, sent = [first], list[str]()
    alert = LagAlert(lambda: now[0], LagLimits(), [sent.append])
    assert alert.step(10)
    now[0] = both
    assert alert.step(20)
    assert sent[1] == "signals: desk:a: 1001 pending, 1000 at most; desk:b: 1001 pending, 1000 at most"


def test_no_redis_error_ends_the_watcher(caplog: pytest.LogCaptureFixture) -> None:
    stop = StopFlag()

    def away() -> Any:
        stop.set()
        raise RedisClusterException("no node answers")

    LagAlert(away, LagLimits()).run(stop)
    assert "cannot be read: the Redis of the role signals failed: no node answers." in caplog.text


def test_an_alert_that_was_not_delivered_is_sent_again() -> None:
    """To the sender that failed alone, and the newest one."""
    sent, refused = list[str](), list[str]()

    def refuse_twice(text: str) -> bool:
        refused.append(text)
        return len(refused) > 2

    alert = LagAlert(lambda: BEHIND, LagLimits(), [sent.append, refuse_twice])
    assert [alert.step(second) for second in (10, 20, 30, 40)] == [True, False, False, False]
    assert (len(sent), len(refused), len(set(refused))) == (1, 3, 1)


def test_a_stream_that_cannot_be_read_is_an_alert_at_the_third_time() -> None:
    is_away, sent = [True], list[str]()

    def state() -> StreamFigures:
        if is_away[0]:
            raise RedisClusterException("no node answers")
        return WELL

    alert = LagAlert(state, LagLimits(), [sent.append])
    for second, count in ((10, 0), (20, 0), (30, 1), (40, 1)):
        with pytest.raises(RedisClusterException):
            alert.step(second)
        assert len(sent) == count
    assert sent == ["signals: the stream cannot be read: the Redis of the role signals failed: no node answers."]
    is_away[0] = False
    assert alert.step(50)
    assert sent[1] == "signals: all groups are within their limits again"


def test_it_ends_when_asked() -> None:
    stop = StopFlag()
    stop.set()
    LagAlert(lambda: WELL, LagLimits()).run(stop)


def test_a_webhook_gets_the_text_as_json() -> None:
    got: list[Any] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        webhook(f"http://127.0.0.1:{server.server_port}/secret")("behind")
        thread.join()
    assert got == [{"text": "behind"}]


def test_a_webhook_that_fails_is_logged_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    assert webhook("http://127.0.0.1:1/secret")("behind") is False
    assert "ConnectError" in caplog.text
    assert "secret" not in caplog.text

"""A worker's stop by signal: what it leaves behind; and the cost of an idle worker."""

import time

from tests.end_to_end.system import eventually
from tests.outreach.fleet import fleet


def test_sigterm_finishes_what_has_begun_and_leaves_the_rest() -> None:
    with fleet("--concurrency", "4", size=1) as workers:
        workers.set_inboxes({"anna@example.com": {}})
        workers.enqueue(["anna@example.com"] * 400)
        workers.start()
        eventually(lambda: len(workers.sink.arrivals) > 20, 30, 0.01)
        start = time.monotonic()
        [(status, output)] = workers.stop()
        assert time.monotonic() - start < 10
        assert status == 0
        states = list(workers.statuses().values())
        assert set(states) <= {"sent", "queued"}
        assert output.decode().startswith(f"sent={states.count('sent')} retried=0 ")
        assert len(workers.sink.arrivals) == states.count("sent")


def test_an_idle_worker_costs_under_five_commands_a_second() -> None:
    with fleet(size=1) as workers:
        workers.set_inboxes({f"i{number}@example.com": {} for number in range(20)})
        workers.start()
        eventually(workers.all_at_work)
        time.sleep(3)
        redis = workers.redis()
        before, start = redis.info("stats")["total_commands_processed"], time.monotonic()
        time.sleep(10)
        after, seconds = redis.info("stats")["total_commands_processed"], time.monotonic() - start
        assert (after - before) / seconds < 5


def test_workers_follow_a_changed_inbox_within_five_seconds() -> None:
    with fleet(size=2) as workers:
        workers.set_inboxes({"anna@example.com": {"paused": True}})
        workers.enqueue(["anna@example.com"])
        workers.start()
        eventually(workers.all_at_work)
        time.sleep(3)
        assert workers.sink.arrivals == []
        workers.manage("set_inbox", "anna@example.com", "--resume")
        eventually(lambda: workers.sink.arrivals, 5, 0.02)

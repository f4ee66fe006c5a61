"""The backfill that is started in the admin: one at a time, and finished whoever dies."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from regime import keys
from regime.services import ttl_backfill
from regime.services.refresher import Refresher
from regime.services.ttl_backfill import resume_backfill, run_job, start_backfill
from regime.store.ttl_backfill import BackfillLease
from tests.regime.states import plain_hset


@pytest.fixture
def without_ttl(redis: Any, server_now: float) -> None:
    for number in range(60):
        plain_hset(redis, f"S{number}", {"computed_at": server_now, "bull:1mo": "0.5"})


def missing(redis: Any) -> int:
    return sum(redis.ttl(key) == -1 for key in redis.scan_iter(keys.STATE_PATTERN))


@pytest.mark.real_server
def test_of_many_that_begin_at_once_one_does(redis: Any) -> None:
    leases = [BackfillLease(redis) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda lease: lease.begin("backfill"), leases)) == 1


@pytest.mark.real_server
def test_it_runs_once_and_leaves_nothing_to_resume(redis: Any, without_ttl: None) -> None:
    start_backfill(dry_run=False).join()
    assert missing(redis) == 0
    assert not redis.exists(keys.BACKFILL_JOB, keys.BACKFILL_LEASE)
    assert resume_backfill() is None
    start_backfill(dry_run=True).join()


@pytest.mark.real_server
@pytest.mark.parametrize(("job", "left"), [("backfill", 0), ("dry-run", 60)])
def test_what_a_dead_process_left_is_finished(redis: Any, without_ttl: None, job: str, left: int) -> None:
    assert BackfillLease(redis).begin(job)  # by a process that dies now
    assert resume_backfill() is None, "it may be alive"
    with pytest.raises(ValueError, match="already running"):
        start_backfill(dry_run=False)
    assert 0 < redis.pttl(keys.BACKFILL_LEASE) <= 15_000
    redis.delete(keys.BACKFILL_LEASE)  # 15 s later
    resumed = resume_backfill()
    assert resumed is not None
    resumed.join()
    assert missing(redis) == left
    assert not redis.exists(keys.BACKFILL_JOB, keys.BACKFILL_LEASE)


def test_an_abandoned_one_gives_way_to_a_new_one(redis: Any) -> None:
    assert BackfillLease(redis).begin("dry-run")
    redis.delete(keys.BACKFILL_LEASE)
    newer = BackfillLease(redis)
    assert newer.begin("backfill")
    assert redis.get(keys.BACKFILL_JOB) == b"backfill"


@pytest.mark.real_server
def test_who_lost_the_lease_stops_and_takes_nothing_along(redis: Any, without_ttl: None) -> None:
    stalled, other = BackfillLease(redis), BackfillLease(redis)
    assert stalled.begin("backfill")
    redis.delete(keys.BACKFILL_LEASE)  # it was stopped for longer than the lease holds
    assert other.resume() == "backfill"
    ticks = iter(range(0, 100_000, 5))
    run_job(stalled, "backfill", lambda: float(next(ticks)))
    assert missing(redis) > 0
    assert other.renew()
    assert redis.get(keys.BACKFILL_JOB) == b"backfill"
    assert not stalled.renew()


def test_the_lease_is_renewed_while_it_runs(redis: Any, without_ttl: None) -> None:
    lease = BackfillLease(redis)
    assert lease.begin("backfill")
    redis.pexpire(keys.BACKFILL_LEASE, 1_000)
    assert lease.renew()
    assert redis.pttl(keys.BACKFILL_LEASE) > 10_000


def test_the_refresher_resumes(redis: Any, server_now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from avo_project.runtime.stop_flag import StopFlag

    threads: list[Any] = []
    monkeypatch.setattr(
        "regime.services.refresher.resume_backfill", lambda: threads.append(ttl_backfill.resume_backfill())
    )
    assert BackfillLease(redis).begin("dry-run")
    redis.delete(keys.BACKFILL_LEASE)
    stop = StopFlag()
    Refresher.connect(lambda: server_now).run(stop, 60.0, lambda report: stop.set())
    [resumed] = threads
    resumed.join()
    assert not redis.exists(keys.BACKFILL_JOB)

"""Runs the TTL backfill in a thread for the admin page, one at a time over all processes.

When the process dies before the backfill ends, the lease expires and the refresher resumes the job.
"""

import logging
import threading
import time
from collections.abc import Callable

from avo_project.runtime.stop_flag import StopFlag
from regime.conf import regime_conf
from regime.services.ttl_backfill import Pace, TtlBackfill
from regime.store.backfill_lease import LEASE_SECONDS, BackfillLease
from regime.store.ttl_backfill import BackfillLog

logger = logging.getLogger(__name__)
_DRY_RUN, _BACKFILL = "dry-run", "backfill"


def start_backfill(dry_run: bool) -> threading.Thread:
    """Starts a throttled backfill. Raises ValueError when one is already running."""
    last = BackfillLog.connect().last()
    is_command_running = last is not None and last.is_running(time.time())
    lease, job = BackfillLease.connect(), _DRY_RUN if dry_run else _BACKFILL
    if is_command_running or not lease.begin(job):
        raise ValueError("A backfill is already running. The page shows its progress.")
    return _started(lease, job)


def resume_backfill() -> threading.Thread | None:
    """Resumes a backfill whose process died, if there is one."""
    lease = BackfillLease.connect()
    job = lease.resume()
    if job is None:
        return None
    logger.info("backfill resumed after its process ended")
    return _started(lease, job)


def _started(lease: BackfillLease, job: str) -> threading.Thread:
    thread = threading.Thread(target=run_job, args=(lease, job, time.monotonic), name="ttl-backfill", daemon=True)
    thread.start()
    return thread


def run_job(lease: BackfillLease, job: str, monotonic: Callable[[], float]) -> None:
    """One pass under ``lease``. A resumed job scans all keys again and skips those already done."""
    stop = StopFlag()
    renewed = monotonic()

    def renew(_: int) -> None:
        nonlocal renewed
        if monotonic() - renewed >= LEASE_SECONDS / 5:
            renewed = monotonic()
            if not lease.renew():
                stop.set()

    pace = Pace.of(None, None, regime_conf())
    report = TtlBackfill.connect(pace, job == _DRY_RUN, None).run(stop, renew)
    if stop:
        logger.warning("backfill stopped: its lease expired and another process may hold it")
        return
    lease.finish()
    logger.info("backfill from the admin: %s", report.summary())

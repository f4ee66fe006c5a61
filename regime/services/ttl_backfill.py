"""The TTL backfill: one throttled scan that sets the remaining TTL on every state without one.

The admin page runs it in a thread, one at a time over all processes. When that process is killed, the lease expires and
the refresher resumes the job.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from avo_project.runtime.stop_flag import StopFlag
from regime.conf import RegimeConf
from regime.domain.freshness import LIFE_SECONDS
from regime.store.ttl_backfill import LEASE_SECONDS, BackfillLease, BackfillLog, Counts, TtlSetter

logger = logging.getLogger(__name__)
_DRY_RUN, _BACKFILL = "dry-run", "backfill"
_NOTED_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Keys per step, the pause after each step, and the maximum number of keys per second."""

    batch: int
    pause_seconds: float = 0.0
    max_per_second: int | None = None

    @classmethod
    def of(cls, batch: int | None, max_per_second: int | None, conf: RegimeConf) -> Self:
        """The throttled pace, or the unthrottled one with ``batch``. Raises ValueError on invalid arguments."""
        if batch is not None and not 1 <= batch <= 10_000:
            raise ValueError("--batch must be from 1 to 10000 keys")
        if max_per_second is not None and max_per_second < 1:
            raise ValueError("--max-per-second must be 1 key or more")
        if batch is None:
            return cls(conf.backfill_batch, conf.backfill_pause_seconds, max_per_second)
        return cls(batch, 0.0, max_per_second)

    def wait_seconds(self, done: int, elapsed_seconds: float) -> float:
        """How long to wait now that ``done`` keys took ``elapsed_seconds``."""
        due_seconds = done / self.max_per_second if self.max_per_second else 0.0
        return max(self.pause_seconds, due_seconds - elapsed_seconds)


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """The results of a run, in the order of the JSON report."""

    scanned: int
    counts: Counts
    seconds: float

    def fields(self) -> dict[str, int | float]:
        return {"scanned": self.scanned, **asdict(self.counts), "seconds": round(self.seconds, 3)}

    def summary(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.fields().items())


class TtlBackfill:
    """Runs one scan and records its progress in the log. ``clock`` gives Unix seconds, ``monotonic`` seconds."""

    def __init__(
        self,
        setter: TtlSetter,
        log: BackfillLog,
        pace: Pace,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._setter = setter
        self._log = log
        self._batches = setter.batches(pace.batch)
        self._pace = pace
        self._clock = clock
        self._monotonic = monotonic
        self._started = self._noted = monotonic()
        self._scanned = 0
        self._counts = Counts()

    @classmethod
    def connect(cls, pace: Pace, dry_run: bool, assumed_age_seconds: float | None) -> Self:
        """Raises ValueError on an age that no state can have."""
        if assumed_age_seconds is not None and not 0 <= assumed_age_seconds < LIFE_SECONDS:
            raise ValueError(f"--assume-age must be from 0 to {LIFE_SECONDS - 1} seconds")
        setter = TtlSetter.connect(dry_run, assumed_age_seconds)
        return cls(setter, BackfillLog.connect(), pace, time.time, time.monotonic)

    def keys_at_most(self) -> int:
        """The maximum number of keys to scan."""
        return self._setter.keys_at_most()

    def step(self) -> int:
        """Processes the next batch of keys. Returns its size, 0 at the end of the scan."""
        count, counts = next(self._batches, (0, Counts()))
        self._scanned += count
        self._counts += counts
        if self._monotonic() - self._noted >= _NOTED_EVERY_SECONDS:
            self._note("running")
        return count

    def run(self, stop: StopFlag, on_step: Callable[[int], None] = lambda count: None) -> BackfillReport:
        """Processes batches until the end of the scan or until ``stop``. A later run processes the remaining keys."""
        self._note("running")
        try:
            while not stop and (count := self.step()):
                on_step(count)
                if wait_seconds := self._pace.wait_seconds(self._scanned, self._monotonic() - self._started):
                    stop.wait(wait_seconds)
        except Exception:
            self._note("failed")
            raise
        self._note("stopped" if stop else "done")
        return self.report()

    def report(self) -> BackfillReport:
        """What was found and done so far."""
        return BackfillReport(self._scanned, self._counts, self._monotonic() - self._started)

    def _note(self, state: str) -> None:
        self._noted = self._monotonic()
        self._log.note(state, self._clock(), self._setter.dry_run, self.report().fields())


def start_backfill(dry_run: bool) -> threading.Thread:
    """Starts a throttled backfill. Raises ValueError when one is already running."""
    last = BackfillLog.connect().last()
    is_command_running = last is not None and last.is_running(time.time())
    lease, job = BackfillLease.connect(), _DRY_RUN if dry_run else _BACKFILL
    if is_command_running or not lease.begin(job):
        raise ValueError("A backfill is already running. The page shows its progress.")
    return _started(lease, job)


def resume_backfill() -> threading.Thread | None:
    """Resumes a backfill whose process was killed, if there is one."""
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
    """One scan under ``lease``. A resumed job scans all keys again and skips those already done."""
    stop = StopFlag()
    renewed = monotonic()

    def renew(_: int) -> None:
        nonlocal renewed
        if monotonic() - renewed >= LEASE_SECONDS / 5:
            renewed = monotonic()
            if not lease.renew():
                stop.set()

    pace = Pace.of(None, None, RegimeConf.load())
    report = TtlBackfill.connect(pace, job == _DRY_RUN, None).run(stop, renew)
    if stop:
        logger.warning("backfill stopped: its lease expired and another process may hold it")
        return
    lease.finish()
    logger.info("backfill from the admin: %s", report.summary())

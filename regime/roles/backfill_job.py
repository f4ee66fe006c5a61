"""The backfill as a thread of the web process, for the admin page, which shows how far it is."""

import logging
import threading
import time

from avo_project.stop_flag import StopFlag
from regime.conf import regime_conf
from regime.roles.ttl_backfill import BackfillReport, Pace, TtlBackfill
from regime.store.backfill_log import BackfillLog

logger = logging.getLogger(__name__)


def start_backfill(dry_run: bool) -> threading.Thread:
    """Starts one at the polite pace. Raises ValueError when one is running already."""
    last = BackfillLog.connect().last()
    if last is not None and last.is_running(time.time()):
        raise ValueError("A backfill is running already; the page shows how far it is.")
    job = threading.Thread(target=_run, args=(dry_run,), name="ttl-backfill", daemon=True)
    job.start()
    return job


def _run(dry_run: bool) -> BackfillReport:
    pace = Pace.of(None, None, regime_conf())
    report = TtlBackfill.connect(pace, dry_run, None).run(StopFlag())
    logger.info("backfill from the admin: %s", report.summary())
    return report

"""Assembles a worker from the settings."""

import logging
import os
import random
import socket
import time
from collections.abc import Callable

from avo_project.observability.sampler import Sampler
from outreach.conf import OutreachConf
from outreach.domain.reservation import LeaseOwner
from outreach.services.inbox_cache import InboxCache
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.reconcile import Reconciler
from outreach.services.refusal_guard import RefusalGuard
from outreach.services.sender_pool import SenderPool
from outreach.services.worker import Worker
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes

logger = logging.getLogger(__name__)
ROLE = "outreach"


def default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class QueueMonitor:
    """Warns once when the queue's Redis may evict keys, and samples figures for the charts."""

    def __init__(self, view: QueueView, sample: Callable[[float], object]) -> None:
        self._view = view
        self._sample = sample
        self._policy_checked = False

    def __call__(self, now: float) -> None:
        if not self._policy_checked:
            policy = self._view.eviction_policy()
            self._policy_checked = True
            if policy not in {"", "noeviction"}:
                logger.warning(
                    "the queue's Redis evicts keys (%s), so the queue may lose touches; set noeviction", policy
                )
        self._sample(now)


def make_worker(name: str, concurrency: int, lease_seconds: float) -> Worker:
    """A worker with the configured senders that sends ``concurrency`` touches at a time. Opens no connection yet."""
    view = QueueView.connect()
    conf, lanes, inbox_cache, lease_owner = (
        OutreachConf.load(),
        Lanes.connect(),
        InboxCache(),
        LeaseOwner(name, lease_seconds),
    )
    ledger = Ledger(lease_owner, inbox_cache, conf.retry_policy, RefusalGuard(conf.refusal_limits), random.random)
    monitor = QueueMonitor(view, Sampler.of(ROLE).step)
    reconciler = Reconciler(lanes, view, lease_owner.lease_ms)
    maintenance = Maintenance(lease_owner, conf, lanes, ledger, inbox_cache, reconciler, monitor)
    pool = SenderPool.of(concurrency, conf, time.time)
    return Worker(lease_owner, conf, lanes, ledger, inbox_cache, pool, maintenance, time.time)

"""Puts a worker together from the settings."""

import logging
import os
import random
import socket
import time
from collections.abc import Callable

from avo_project.console.sampler import Sampler
from outreach.conf import OutreachConf
from outreach.roles.crew import Crew
from outreach.roles.inbox_book import InboxBook
from outreach.roles.ledger import Ledger
from outreach.roles.reconcile import Reconciler
from outreach.roles.upkeep import Upkeep
from outreach.roles.worker import Worker
from outreach.rules.reservation import Shift
from outreach.rules.retry import RetryPolicy
from outreach.store.depth_history import DepthHistory
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes

logger = logging.getLogger(__name__)
ROLE = "outreach"


def default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Beside:
    """What a worker does beside its work: says once that its Redis may lose keys, and keeps figures for the charts."""

    def __init__(self, view: QueueView, sample: Callable[[float], object]) -> None:
        self._view = view
        self._sample = sample
        self._has_asked = False

    def __call__(self, now: float) -> None:
        if not self._has_asked:
            policy = self._view.eviction_policy()
            self._has_asked = True
            if policy not in {"", "noeviction"}:
                logger.warning(
                    "the queue's Redis evicts keys (%s): touches may be lost from it; set noeviction", policy
                )
        self._sample(now)


def make_worker(name: str, concurrency: int, lease_seconds: float) -> Worker:
    """A worker with the senders of the settings, ``concurrency`` touches at a time. Talks to no server yet."""
    view = QueueView.connect()
    conf, lanes, book, shift = OutreachConf.load(), Lanes.connect(), InboxBook(), Shift(name, lease_seconds)
    policy = RetryPolicy(conf.retries, conf.retry_base_seconds, conf.retry_factor, conf.retry_cap_seconds)
    ledger = Ledger(shift, book, policy, random.random)
    beside = Beside(view, Sampler.of(ROLE).step)
    reconciler = Reconciler(lanes, view, shift.lease_ms)
    upkeep = Upkeep(shift, conf, lanes, ledger, book, reconciler, DepthHistory.connect(), beside)
    crew = Crew.of(concurrency, conf, time.time)
    return Worker(shift, conf, lanes, ledger, book, crew, upkeep, time.time)

"""Maintenance of the queue by every worker: inbox changes, expired leases, lost data."""

import logging
from collections.abc import Callable

from outreach.conf import OutreachConf
from outreach.domain.reservation import LeaseOwner
from outreach.domain.reservation_plan import SweepBacklog
from outreach.services.counters import Counters
from outreach.services.inbox_cache import InboxCache
from outreach.services.ledger import Ledger
from outreach.services.reconcile import Reconciler
from outreach.store.lanes import Lanes, Reserved

logger = logging.getLogger(__name__)
_RECOVER_AT_ONCE = 100
_YOUNG_SECONDS = 60.0
_SECONDS_AN_INBOX = 4.0  # a full sweep sends two commands per inbox: half a command a second


class Maintenance:
    """Runs the periodic tasks of a worker. Each task is idempotent, so no lock or leader is needed.

    ``counters`` are shared with the worker. ``monitor`` is called on every step and keeps its own schedule.
    """

    def __init__(
        self,
        lease_owner: LeaseOwner,
        conf: OutreachConf,
        lanes: Lanes,
        ledger: Ledger,
        inbox_cache: InboxCache,
        reconciler: Reconciler,
        monitor: Callable[[float], object] = lambda now: None,
    ) -> None:
        self.counters = Counters()
        self._lease_owner = lease_owner
        self._conf = conf
        self._lanes = lanes
        self._ledger = ledger
        self._inbox_cache = inbox_cache
        self._reconciler = reconciler
        self._monitor = monitor
        self._is_first_step = True
        self._next_inbox_refresh = 0.0
        self._next_sweep = 0.0
        self._next_full_sweep = 0.0
        self._swept_until = 0.0
        self._backlog = SweepBacklog()
        self._queue_lost = False
        self.leases_ended = False

    @property
    def has_work(self) -> bool:
        return self._queue_lost or self.leases_ended

    def observe(self, reserved: Reserved) -> None:
        """Notes from the last reservation whether data was lost or a lease has expired."""
        self._queue_lost = not reserved.is_initialised
        self.leases_ended = reserved.first_lease_ms is not None and reserved.first_lease_ms <= reserved.now_ms

    def step(self, now: float) -> None:
        """Runs the tasks that are due at ``now`` (Unix seconds)."""
        self._monitor(now)
        if self._queue_lost:
            logger.info("the queue is new or lost its data: %s", self._reconciler.restore_if_lost(now))
            self._queue_lost = False
        if self.leases_ended:
            self._recover(now)
        if now >= self._next_inbox_refresh:
            self._next_inbox_refresh = now + self._conf.follow_inboxes_seconds
            self._follow_inboxes(now)
        if now >= self._next_sweep:
            self._next_sweep = now + self._conf.sweep_seconds
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        """Compares all inboxes from time to time, and otherwise those with new touches; first without a minimum age."""
        young = _YOUNG_SECONDS if self._swept_until else 0.0
        if now >= self._next_full_sweep:
            compared = self._reconciler.sweep(now, young)
            self._next_full_sweep = now + max(self._conf.sweep_seconds, compared * _SECONDS_AN_INBOX)
            self._backlog.clear()
        else:
            self._reconciler.sweep_recent(now, young, self._swept_until, self._backlog)
        self._swept_until = now - _YOUNG_SECONDS

    def _follow_inboxes(self, now: float) -> None:
        """Rechecks the lanes of changed inboxes: a lane is not due while its inbox is paused, held or outside its
        window, or until the daily limit that it was checked with has room."""
        self._inbox_cache.refresh()
        self._inbox_cache.note_growths(now)
        changed = self._inbox_cache.changed
        holds = self._inbox_cache.held_until_ms() if changed or self._is_first_step else {}
        if self._is_first_step:  # an inbox may have been resumed while no worker ran
            self._lanes.recheck_all(holds)
            self._is_first_step = False
            changed.clear()
        while changed:  # removed only after the call, which may fail
            self._lanes.recheck(inbox_id := min(changed), holds.get(inbox_id, 0))
            changed.discard(inbox_id)

    def _recover(self, now: float) -> None:
        taken = self._lanes.recover(self._lease_owner, _RECOVER_AT_ONCE)
        self._lanes.settle(self._ledger.recover(taken, now))
        self.counters.count("recovered", len(taken))
        self.leases_ended = False

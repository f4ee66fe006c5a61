"""What a worker does beside sending: follows inbox changes, recovers the dead, heals the queue, samples its depth."""

import logging
from collections.abc import Callable

from outreach.conf import OutreachConf
from outreach.domain.reservation import LeaseOwner
from outreach.domain.reservation_plan import SweepBacklog
from outreach.services.counters import Counters
from outreach.services.inbox_cache import InboxCache
from outreach.services.ledger import Ledger
from outreach.services.reconcile import Reconciler
from outreach.store.depth_history import DepthHistory, DepthSample
from outreach.store.lanes import Lanes, Reserved

logger = logging.getLogger(__name__)
_RECOVER_AT_ONCE = 100
_YOUNG_SECONDS = 60.0
_SECONDS_AN_INBOX = 4.0  # two commands each: of 10,000 inboxes it is half a command a second
_SAMPLE_SECONDS = 60.0
_DEEPEST = 20


class Maintenance:
    """Every worker does all of it; nothing needs a lock or a leader, because each part may run twice.

    ``tally`` is the worker's: here it counts what was recovered.
    """

    def __init__(
        self,
        shift: LeaseOwner,
        conf: OutreachConf,
        lanes: Lanes,
        ledger: Ledger,
        book: InboxCache,
        reconciler: Reconciler,
        history: DepthHistory,
        beside: Callable[[float], object] = lambda now: None,
    ) -> None:
        self.counters = Counters()
        self._shift = shift
        self._conf = conf
        self._lanes = lanes
        self._ledger = ledger
        self._book = book
        self._reconciler = reconciler
        self._history = history
        self._beside = beside
        self._is_new = True
        self._next_look = 0.0
        self._next_sample = 0.0
        self._next_sweep = 0.0
        self._next_full_sweep = 0.0
        self._swept_until = 0.0
        self._backlog = SweepBacklog()
        self._lost = False
        self.leases_ended = False

    @property
    def has_work(self) -> bool:
        return self._lost or self.leases_ended

    def note(self, reserved: Reserved) -> None:
        """What the last look at the queue says about its health."""
        self._lost = not reserved.is_intact
        self.leases_ended = reserved.first_lease_ms is not None and reserved.first_lease_ms <= reserved.now_ms

    def step(self, now: float) -> None:
        """Does whatever is due at ``now`` (Unix seconds). What goes on ``beside`` keeps its own time."""
        self._beside(now)
        if self._lost:
            logger.info("a new or lost queue: %s", self._reconciler.heal(now))
            self._lost = False
        if self.leases_ended:
            self._recover(now)
        if now >= self._next_look:
            self._next_look = now + self._conf.follow_inboxes_seconds
            self._follow_inboxes()
        if now >= self._next_sweep:
            self._next_sweep = now + self._conf.sweep_seconds
            self._sweep(now)
        if now >= self._next_sample:
            self._next_sample = now + _SAMPLE_SECONDS
            self._sample(now)

    def _sweep(self, now: float) -> None:
        """All inboxes now and then, in between those that got touches since; the first time even the newest touches."""
        young = _YOUNG_SECONDS if self._swept_until else 0.0
        if now >= self._next_full_sweep:
            compared = self._reconciler.sweep(now, young)
            self._next_full_sweep = now + max(self._conf.sweep_seconds, compared * _SECONDS_AN_INBOX)
            self._backlog.clear()
        else:
            self._reconciler.sweep_lately(now, young, self._swept_until, self._backlog)
        self._swept_until = now - _YOUNG_SECONDS

    def _sample(self, now: float) -> None:
        depths = self._ledger.unfinished_by_inbox()
        deepest = dict(sorted(depths.items(), key=lambda pair: -pair[1])[:_DEEPEST])
        self._history.record(DepthSample(int(now // 60), sum(depths.values()), deepest))

    def _follow_inboxes(self) -> None:
        """A lane is parked for as long as its inbox holds it, so whatever changes an inbox must have it looked at."""
        self._book.refresh()
        changed = self._book.changed
        if self._is_new:  # nobody may have been at work when an inbox was resumed
            self._lanes.recheck_all()
            self._is_new = False
            changed.clear()
        while changed:  # taken out only after the call, which may fail
            self._lanes.recheck(inbox_id := min(changed))
            changed.discard(inbox_id)

    def _recover(self, now: float) -> None:
        taken = self._lanes.recover(self._shift, _RECOVER_AT_ONCE)
        self._lanes.settle(self._ledger.recover(taken, now))
        self.counters.count("recovered", len(taken))
        self.leases_ended = False

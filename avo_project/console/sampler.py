"""Keeps the figures of roles for the charts; runs beside the loops of the workers, or by itself."""

import logging
from collections.abc import Callable, Iterable
from typing import Self

from avo_project.console.history import History
from avo_project.console.role_console import UNREACHABLE, RoleConsole, consoles
from avo_project.console.samples import COARSE, FINE
from avo_project.stop_flag import StopFlag

logger = logging.getLogger(__name__)


class Sampler:
    """Any number may run: the first one of a step wins it, and the others notice before they read anything."""

    def __init__(self, roles: Iterable[RoleConsole]) -> None:
        self._roles = list(roles)
        self._due = float("-inf")
        self._gathered_at: dict[str, int] = {}
        self._failing: set[str] = set()

    @classmethod
    def of(cls, *roles: str) -> Self:
        """Of the named roles, of all when none is named. Raises KeyError."""
        return cls(consoles(roles))

    def step(self, now: float) -> int:
        """Samples what is due by ``now`` (seconds of any clock); returns how many roles it won a step of.

        A role whose Redis or database is away is logged once and asked again at the next step.
        """
        if now < self._due:
            return 0
        self._due = now + FINE.step_seconds / 2
        return sum(self._surviving(role) for role in self._roles)

    def run(self, stop: StopFlag, clock: Callable[[], float]) -> None:
        """Samples until ``stop``; ``clock`` gives seconds."""
        while not stop:
            self.step(clock())
            stop.wait(FINE.step_seconds / 2)

    def _surviving(self, role: RoleConsole) -> bool:
        try:
            won = self._sample(role)
        except UNREACHABLE as failure:
            if role.role not in self._failing:
                logger.warning("no figures of %s for now: %s", role.role, failure)
            self._failing.add(role.role)
            return False
        self._failing.discard(role.role)
        return won

    def _sample(self, role: RoleConsole) -> bool:
        history = History.connect(role.role, role.alias)
        now = history.now()
        if not history.is_due(now):
            return False
        won = history.record(role.sample(), now)
        if self._gathered_at.get(role.role) != COARSE.step_of(now):
            history.gather(now)
            self._gathered_at[role.role] = COARSE.step_of(now)
        return won

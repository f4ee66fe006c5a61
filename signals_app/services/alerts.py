"""Tells people when a limit is passed, once when it begins and once when it is over."""

import logging
import time
from collections.abc import Callable, Sequence

import httpx

from avo_project.http.fetch import fetch
from avo_project.redis_client.errors import REDIS_FAILURES, describe_store_error
from avo_project.runtime.stop_flag import StopFlag
from signals_app.domain.lag import LagLimits, StreamFigures, limits_passed
from signals_app.keys import REDIS_ALIAS

logger = logging.getLogger(__name__)

Send = Callable[[str], object]
_TIMEOUT_SECONDS = 5.0
_INTERVAL_SECONDS = 10.0


def webhook(url: str) -> Send:
    """Posts ``{"text": …}``, the form that chat services take. A failure is logged, without the URL, and passes."""

    def send(text: str) -> None:
        try:
            fetch("POST", url, seconds=_TIMEOUT_SECONDS, max_bytes=0, json={"text": text})
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            logger.warning("the alert webhook failed: %s", type(failure).__name__)

    return send


class LagAlert:
    """Looks at the figures every ten seconds. ``senders`` are told the limits passed, when they change."""

    def __init__(self, figures: Callable[[], StreamFigures], limits: LagLimits, senders: Sequence[Send] = ()) -> None:
        self._figures = figures
        self._limits = limits
        self._senders = senders
        self._due = 0.0
        self._alerted: frozenset[tuple[str | None, str]] = frozenset()

    def step(self, now: float) -> bool:
        """Looks if it is time; says whether something was told."""
        if now < self._due:
            return False
        self._due = now + _INTERVAL_SECONDS
        passed = limits_passed(self._figures(), self._limits)
        subjects = frozenset(one.subject for one in passed)
        if subjects == self._alerted:
            return False
        self._alerted = subjects
        text = "; ".join(map(str, passed)) if passed else "all groups are within their limits again"
        logger.warning("signals: %s", text)
        for send in self._senders:
            send(f"signals: {text}")
        return True

    def run(self, stop: StopFlag) -> None:
        """Until ``stop``. Whatever Redis fails by is logged and looked at again."""
        while not stop:
            try:
                self.step(time.monotonic())
            except REDIS_FAILURES as failure:
                logger.warning(
                    "signals: the stream cannot be looked at: %s", describe_store_error(failure, REDIS_ALIAS)
                )
            stop.wait(_INTERVAL_SECONDS)

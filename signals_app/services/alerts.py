"""Alerts by log and webhook when a lag limit is exceeded, and again when all groups recover."""

import logging
import time
from collections.abc import Callable, Sequence

import httpx

from avo_project.http.fetch import fetch
from avo_project.redis_client.errors import REDIS_FAILURES, describe_store_error
from avo_project.runtime.stop_flag import StopFlag
from signals_app.domain.lag import LagLimits, StreamFigures, exceeded_limits
from signals_app.keys import REDIS_ALIAS

logger = logging.getLogger(__name__)

Send = Callable[[str], object]
_TIMEOUT_SECONDS = 5.0
_INTERVAL_SECONDS = 10.0


def webhook(url: str) -> Send:
    """A sender that posts ``{"text": …}``, the format of chat services. Failures are logged without the URL."""

    def send(text: str) -> None:
        try:
            fetch("POST", url, seconds=_TIMEOUT_SECONDS, max_bytes=0, json={"text": text})
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            logger.warning("the alert webhook failed: %s", type(failure).__name__)

    return send


class LagAlert:
    """Checks the figures every ten seconds and sends an alert when the set of exceeded limits changes."""

    def __init__(self, figures: Callable[[], StreamFigures], limits: LagLimits, senders: Sequence[Send] = ()) -> None:
        self._figures = figures
        self._limits = limits
        self._senders = senders
        self._due = 0.0
        self._alerted: frozenset[tuple[str | None, str]] = frozenset()

    def step(self, now: float) -> bool:
        """Check if due. Returns whether an alert was sent."""
        if now < self._due:
            return False
        self._due = now + _INTERVAL_SECONDS
        exceeded = exceeded_limits(self._figures(), self._limits)
        subjects = frozenset(one.subject for one in exceeded)
        if subjects == self._alerted:
            return False
        self._alerted = subjects
        text = "; ".join(map(str, exceeded)) if exceeded else "all groups are within their limits again"
        logger.warning("signals: %s", text)
        for send in self._senders:
            send(f"signals: {text}")
        return True

    def run(self, stop: StopFlag) -> None:
        """Run until ``stop``. Redis errors are logged; the next check follows as usual."""
        while not stop:
            try:
                self.step(time.monotonic())
            except REDIS_FAILURES as failure:
                logger.warning("signals: the stream cannot be read: %s", describe_store_error(failure, REDIS_ALIAS))
            stop.wait(_INTERVAL_SECONDS)

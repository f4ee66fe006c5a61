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
_FAILURES = 3  # in a row; a restart of Redis takes less
_UNREADABLE: frozenset[tuple[str | None, str]] = frozenset({(None, "unreadable")})


def webhook(url: str) -> Send:
    """A sender that posts ``{"text": …}``, the format of chat services. Failures are logged without the URL and
    returned as False."""

    def send(text: str) -> bool:
        try:
            fetch("POST", url, seconds=_TIMEOUT_SECONDS, max_bytes=0, json={"text": text})
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            logger.warning("the alert webhook failed and is tried again: %s", type(failure).__name__)
            return False
        return True

    return send


class LagAlert:
    """Checks the figures every ten seconds and sends an alert when the set of exceeded limits changes, or when the
    stream could not be read three times in a row. A sender that returns False gets the newest alert again at the next
    check."""

    def __init__(self, figures: Callable[[], StreamFigures], limits: LagLimits, senders: Sequence[Send] = ()) -> None:
        self._figures = figures
        self._limits = limits
        self._senders = senders
        self._due = 0.0
        self._failures = 0
        self._alerted: frozenset[tuple[str | None, str]] = frozenset()
        self._unsent: list[Send] = []
        self._text = ""

    def step(self, now: float) -> bool:
        """Checks if due. Returns whether there was a new alert. Raises a Redis failure, after it has been counted."""
        if now < self._due:
            return False
        self._due = now + _INTERVAL_SECONDS
        try:
            exceeded = exceeded_limits(self._figures(), self._limits)
        except REDIS_FAILURES as failure:
            self._failures += 1
            if self._failures >= _FAILURES:
                text = f"the stream cannot be read: {describe_store_error(failure, REDIS_ALIAS)}"
                self._change(_UNREADABLE, text)
            self._send()
            raise
        self._failures = 0
        subjects = frozenset(one.subject for one in exceeded)
        text = "; ".join(map(str, exceeded)) if exceeded else "all groups are within their limits again"
        has_changed = self._change(subjects, text)
        self._send()
        return has_changed

    def _change(self, subjects: frozenset[tuple[str | None, str]], text: str) -> bool:
        if subjects == self._alerted:
            return False
        self._alerted, self._text, self._unsent = subjects, f"signals: {text}", list(self._senders)
        logger.warning("%s", self._text)
        return True

    def _send(self) -> None:
        self._unsent = [send for send in self._unsent if send(self._text) is False]

    def run(self, stop: StopFlag) -> None:
        """Run until ``stop``. Redis errors are logged; the next check follows as usual."""
        while not stop:
            try:
                self.step(time.monotonic())
            except REDIS_FAILURES as failure:
                logger.warning("signals: the stream cannot be read: %s", describe_store_error(failure, REDIS_ALIAS))
            stop.wait(_INTERVAL_SECONDS)

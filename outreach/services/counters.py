"""Counters of a worker's results, for its summary line and ``/metrics``."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Counter as Metric

from outreach.models import Touch

_TOUCHES = Metric("avo_outreach_results", "What became of touches in the worker of this process", ["result"])
_RESULTS = {
    Touch.Status.SENT: "sent",
    Touch.Status.RETRYING: "retried",
    Touch.Status.DEAD: "dead",
    Touch.Status.UNKNOWN: "unknown",
    Touch.Status.WAITING: "paused",
}
_METRICS = {result: _TOUCHES.labels(result) for result in (*_RESULTS.values(), "recovered", "suppressed")}


class Counters:
    """``counters["sent"]`` touches were sent. A touch counts once for each attempt."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __getitem__(self, result: str) -> int:
        return self._counts[result]

    def count(self, result: str, touches: int = 1) -> None:
        self._counts[result] += touches
        _METRICS[result].inc(touches)

    def count_states(self, states: Iterable[str]) -> None:
        """Counts the states that the ledger gave touches after an attempt."""
        for state, touches in Counter(states).items():
            self.count(_RESULTS[Touch.Status(state)], touches)

    def __str__(self) -> str:
        return " ".join(f"{name}={self[name]}" for name in ("sent", "retried", "dead", "recovered", "suppressed"))

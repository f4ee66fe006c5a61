"""A worker's results in its summary line and on /metrics."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from outreach.domain.reservation import SENT, Outcome
from outreach.models import Inbox, Touch
from outreach.services.counters import Counters
from tests.outreach.conftest import WorkerHarness

Queue = Callable[..., list[Touch]]


def on_metrics(result: str) -> float:
    return REGISTRY.get_sample_value("avo_outreach_results_total", {"result": result}) or 0.0


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (SENT, "sent"),
        (Outcome("retry", 450), "retried"),
        (Outcome("give_up", 554), "dead"),
        (Outcome("suppress", 550), "dead"),
        (Outcome("unknown"), "unknown"),
        (Outcome("pause", 550), "paused"),
    ],
)
def test_each_answer_counts_as_one_result(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, answer: Outcome, result: str
) -> None:
    before = on_metrics(result)
    harness.sender.answer = answer
    queue_up(1)
    harness.work()
    assert harness.worker.counters[result] == 1
    assert on_metrics(result) == before + 1


def test_the_summary_line_has_the_five_of_the_contract() -> None:
    counters = Counters()
    counters.count("suppressed", 3)
    counters.count("recovered", 2)
    counters.count_states(["sent", "sent", "retrying", "dead", "unknown"])
    assert str(counters) == "sent=2 retried=1 dead=1 recovered=2 suppressed=3"

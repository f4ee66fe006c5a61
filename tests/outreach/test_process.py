"""The warning of a worker whose Redis may evict keys."""

from typing import Any

import pytest

from outreach.services.process import QueueMonitor
from outreach.store.inspection import QueueView


@pytest.mark.real_server
def test_a_server_that_evicts_is_warned_of_once(redis_of: Any, caplog: Any) -> None:
    client, seen = redis_of("outreach"), list[float]()
    QueueMonitor(QueueView(client), seen.append)(1.0)
    assert caplog.text == ""
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        monitor = QueueMonitor(QueueView(client), seen.append)
        monitor(2.0)
        monitor(3.0)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert caplog.text.count("evicts keys (allkeys-lru)") == 1
    assert seen == [1.0, 2.0, 3.0]

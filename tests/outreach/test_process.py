"""What a worker says before its first work."""

from typing import Any

import pytest

from outreach.services.process import Beside
from outreach.store.inspection import QueueView


@pytest.mark.real_server
def test_a_server_that_evicts_is_warned_of_once(redis_of: Any, caplog: Any) -> None:
    client, seen = redis_of("outreach"), list[float]()
    Beside(QueueView(client), seen.append)(1.0)
    assert caplog.text == ""
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        beside = Beside(QueueView(client), seen.append)
        beside(2.0)
        beside(3.0)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert caplog.text.count("evicts keys (allkeys-lru)") == 1
    assert seen == [1.0, 2.0, 3.0]

"""What a worker says before it starts."""

from typing import Any

import pytest

from outreach.roles.worker_wiring import make_worker


@pytest.mark.real_server
def test_a_server_that_evicts_is_warned_of(redis_of: Any, db: None, caplog: Any) -> None:
    client = redis_of("outreach")
    make_worker("w", 1, 60.0)
    assert caplog.text == ""
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        make_worker("w", 1, 60.0)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert "evicts keys (allkeys-lru)" in caplog.text

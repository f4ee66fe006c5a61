"""The only stand-ins that tests use. Redis itself is never mocked."""

from dataclasses import dataclass, field
from typing import Any

import fakeredis
from redis.exceptions import ConnectionError as RedisConnectionError


@dataclass
class FixedClock:
    """A clock that only the test moves; called, it gives Unix seconds."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class DownRedis:
    """A real client that fails on demand: set ``is_down``, or name the ``failing_commands``."""

    client: Any
    is_down: bool = False
    failing_commands: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        if self.is_down or name in self.failing_commands:
            raise RedisConnectionError(f"down on demand: {name}")
        return getattr(self.client, name)


class FakeConnectionFactory:
    """django-redis connection factory over one in-process fakeredis server that all roles share."""

    server = fakeredis.FakeServer(version=(7,))

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def connect(self, url: str) -> fakeredis.FakeRedis:
        return fakeredis.FakeRedis(server=self.server, protocol=2)

    def disconnect(self, connection: fakeredis.FakeRedis) -> None:
        """The server runs as long as the test process."""

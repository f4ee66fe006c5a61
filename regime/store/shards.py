"""The servers that hold the states: one, or the primaries of a cluster."""

from typing import Any

from redis import Redis, RedisCluster


class Shards:
    """Finds the server of a key. ``client`` is a Redis or a RedisCluster."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = isinstance(client, RedisCluster)

    def of(self, key: str) -> "Redis":
        """The server that holds ``key``. On a cluster its answer may still be MOVED, when slots are on their way."""
        return self._server(self._client.get_node_from_key(key)) if self._is_cluster else self._client

    def all(self) -> "list[Redis]":
        """Every server with keys of its own."""
        return [self._server(node) for node in self._client.get_primaries()] if self._is_cluster else [self._client]

    def keys_per_script(self, wanted: int) -> int:
        """On a cluster the keys of one script call must share a slot, and states are spread over all."""
        return 1 if self._is_cluster else wanted

    def _server(self, node: Any) -> "Redis":
        server: Redis = self._client.get_redis_connection(node)
        return server

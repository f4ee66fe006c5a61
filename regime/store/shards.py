"""The servers that hold the states: one, or the primaries of a cluster."""

from typing import Any

from redis import Redis, RedisCluster

from avo_project.kept_connection import server_of


class Shards:
    """Finds the server of a key. ``client`` is a Redis or a RedisCluster."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = isinstance(client, RedisCluster)

    def of(self, key: str) -> "Redis":
        """The server that holds ``key``. On a cluster its answer may still be MOVED, when slots are on their way."""
        return server_of(self._client, key)

    def all(self) -> "list[Redis]":
        """Every server with keys of its own."""
        if not self._is_cluster:
            return [self._client]
        return [self._client.get_redis_connection(node) for node in self._client.get_primaries()]

    def keys_per_script(self, wanted: int) -> int:
        """On a cluster the keys of one script call must share a slot, and states are spread over all."""
        return 1 if self._is_cluster else wanted

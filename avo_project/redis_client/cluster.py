"""The client of a Redis Cluster. Its slot map follows fail-overs and moved slots for every sender of commands."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis, RedisCluster
from redis._parsers import Encoder
from redis.cluster import ClusterNode
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 1.0  # at most one refresh after failures in this time


class IncompleteScanError(RedisError):
    """A scan of all keys of a cluster may have missed some."""


class ClusterClient(RedisCluster):
    """Connects on first use, like the other clients, and raises RedisError when the cluster is unavailable.

    redis-py reads the nodes of the cluster in its constructor, and what it raises when no node answers, or when a slot
    is not covered, is not a RedisError. It refreshes its slot map after a failure of its own commands alone, and it
    knows no node without slots, to which ASK points while the first slot moves there. ``monotonic`` returns seconds.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, **options: Any) -> None:
        self._monotonic = monotonic
        self._is_stale, self._refreshed_at = False, float("-inf")
        self._refreshing = threading.Lock()
        self._nodes_without_slots: dict[str, ClusterNode] = {}
        pool = options["connection_pool_class"]
        self.options = {**options, "connection_pool_class": partial(pool, on_failure=self.mark_stale)}
        self.encoder = Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call]
        self._connecting = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        """Called for an attribute that redis-py's ``__init__`` has not set yet, which runs now."""
        with self._connecting:
            if "nodes_manager" not in vars(self):
                host, port = self.options["startup_nodes"][0].host, self.options["startup_nodes"][0].port
                with _as_redis_error():  # with a URL, because only then the nodes use the given pool
                    super().__init__(url=f"redis://{_bracketed(host)}:{port}", **self.options)
                nodes = self.nodes_manager
                nodes.initialize = _as_redis_error()(nodes.initialize)  # type: ignore[method-assign]
                nodes.get_node_from_slot = self._refreshed(nodes.get_node_from_slot)  # type: ignore[method-assign]
        return object.__getattribute__(self, name)

    def mark_stale(self) -> None:
        """Has the slot map refreshed before the next command: a node failed, or said that it is not the primary."""
        self._is_stale = True

    def refresh(self) -> None:
        """Reads the slot map from the cluster. Raises RedisError."""
        self._is_stale, self._refreshed_at = False, self._monotonic()
        self.nodes_manager.initialize(disconnect_startup_nodes_pools=False)
        self._nodes_without_slots.clear()

    def server_of(self, key: str) -> Redis:
        """The primary of the slot of ``key``. It may still reply MOVED or ASK. Raises RedisError."""
        slot = self.keyslot(key)  # type: ignore[no-untyped-call]
        return self.get_redis_connection(self.nodes_manager.get_node_from_slot(slot))

    def follow(self, redirect: AskError) -> Redis:
        """The node that a MOVED or ASK names; the slot map follows a MOVED. Raises RedisError."""
        if isinstance(redirect, MovedError):
            self.nodes_manager.move_slot(redirect)
            self.mark_stale()  # other slots may have moved with it
        return self.get_redis_connection(self.get_node(redirect.host, redirect.port))

    def primaries(self) -> list[Redis]:
        """All primaries, by a slot map read now. Raises RedisError."""
        self.refresh()
        return [self.get_redis_connection(node) for node in self.get_primaries()]  # type: ignore[no-untyped-call]

    def layout(self) -> dict[str, list[list[str]]]:
        """The slot ranges by the id of their primary, as each primary reports them now. Raises IncompleteScanError
        when a slot has no primary or its keys are moving, and RedisError."""
        own = [_own(server.cluster("NODES")) for server in self.primaries()]
        covered = sum(int(bounds[-1]) - int(bounds[0]) + 1 for node in own for bounds in node["slots"])
        if covered != REDIS_CLUSTER_HASH_SLOTS or any(node["migrations"] for node in own):
            raise IncompleteScanError(
                "incomplete: slots of the cluster have no primary or are moving. Try again later."
            )
        return {node["node_id"]: node["slots"] for node in own}

    def get_node(self, host: Any = None, port: Any = None, node_name: Any = None) -> ClusterNode:
        """Of redis-py. A node that is not in the slot map yet is one that ASK names."""
        node = super().get_node(host, port, node_name)  # type: ignore[no-untyped-call]
        if node is None:
            name = node_name or f"{host}:{port}"
            address, _, number = name.rpartition(":")
            node = self._nodes_without_slots.setdefault(name, ClusterNode(address, number))  # type: ignore[no-untyped-call]
        return node  # type: ignore[no-any-return]

    def close(self) -> None:
        if "nodes_manager" in vars(self):
            super().close()

    def _refreshed(self, get_node_from_slot: Callable[..., ClusterNode]) -> Callable[..., ClusterNode]:
        """``get_node_from_slot`` on a map that is refreshed first when it is stale, and that raises RedisError."""

        def find(*arguments: Any, **options: Any) -> ClusterNode:
            if self._is_stale:
                self._refresh_at_intervals()
            with _as_redis_error():
                return get_node_from_slot(*arguments, **options)

        return find

    def _refresh_at_intervals(self) -> None:
        if self._monotonic() - self._refreshed_at < _REFRESH_SECONDS or not self._refreshing.acquire(blocking=False):
            return
        try:
            self.refresh()
        except RedisError as failure:
            self._is_stale = True
            logger.warning("the slot map cannot be refreshed, the known one is used: %s", failure)
        finally:
            self._refreshing.release()


def _own(nodes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The server's own entry in its reply to CLUSTER NODES, which redis-py parses."""
    return next(node for node in nodes.values() if "myself" in node["flags"])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _as_redis_error() -> Iterator[None]:
    try:
        yield
    except SlotNotCoveredError as error:
        raise ClusterDownError(str(error)) from error
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error

"""Servers of a Redis Cluster, for tests that need one."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.system import eventually

_PORTS = range(12_000, 13_000)  # a node talks to the others on its port + 10,000


def free_node_ports(count: int) -> list[int]:
    """Skips the test where Debian's Redis is not installed."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server and redis-cli are not on the PATH: apt-get install redis-server")
    free = (port for port in _PORTS if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe, socket.socket() as bus:
        try:
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
        except OSError:
            return False
    return True


def cli(port: int, *command: str) -> str:
    done = subprocess.run(["redis-cli", "-p", str(port), *command], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def start_node(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Starts one server; started again in the same ``folder`` it knows its slots."""
    own = folder / str(port)
    own.mkdir(exist_ok=True)
    common = ["--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", "", "--dir", str(own)]
    process = subprocess.Popen(["redis-server", *common, *options], stdout=subprocess.DEVNULL)
    eventually(lambda: cli(port, "ping") == "PONG")
    return process


@contextmanager
def node(folder: Path, port: int) -> Iterator[int]:
    """Runs one server for the time of the block."""
    process = start_node(folder, port)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


class Cluster:
    """Three primaries, each with ``replicas``, that promote a replica about 2 s after a primary was killed."""

    _OPTIONS = ("--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")

    def __init__(self, folder: Path, replicas: int) -> None:
        self._folder = folder
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        for port in free_node_ports(3 * (1 + replicas)):
            self.start(port)
        hosts = [f"127.0.0.1:{port}" for port in self._nodes]
        create = ["redis-cli", "--cluster", "create", *hosts, "--cluster-replicas", str(replicas), "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True)
        self.url = "redis+cluster://" + ",".join(hosts)
        self.wait_until_whole(replicas)

    def start(self, port: int) -> None:
        self._nodes[port] = start_node(self._folder, port, *self._OPTIONS)

    def kill(self, port: int) -> None:
        self._nodes[port].kill()
        self._nodes[port].wait()

    def end(self) -> None:
        for port in self._nodes:
            self.kill(port)

    def wait_until_whole(self, replicas: int) -> None:
        """Every node is connected, and every primary has its replicas."""
        ports = list(self._nodes)
        eventually(lambda: all("cluster_state:ok" in cli(port, "cluster", "info") for port in ports))
        eventually(lambda: all("fail" not in row[2] and row[7] == "connected" for row in self.rows()))
        eventually(lambda: all(f"connected_slaves:{replicas}" in cli(port, "info") for port in self.primaries()))

    def rows(self) -> list[list[str]]:
        """CLUSTER NODES of a live node: id, address, flags, primary's id, …, slots."""
        return [line.split() for line in cli(self._live(), "cluster", "nodes").splitlines()]

    def _live(self) -> int:
        return next(port for port, process in self._nodes.items() if process.poll() is None)

    def primaries(self) -> list[int]:
        return [_port(row) for row in self.rows() if "master" in row[2] and "fail" not in row[2] and row[8:]]

    def owner(self, key: str) -> int | None:
        """The port of the key's primary; None while its slot has none."""
        rows = self.rows()
        slot = int(cli(self._live(), "cluster", "keyslot", key))
        for row in rows:
            for low, _, high in (part.partition("-") for part in row[8:] if not part.startswith("[")):
                if "master" in row[2] and "fail" not in row[2] and int(low) <= slot <= int(high or low):
                    return _port(row)
        return None

    def another_primary(self, key: str) -> int:
        """The port of a primary that does not hold the key."""
        return next(port for port in self.primaries() if port != self.owner(key))

    def fail_over(self, key: str) -> None:
        """A planned fail-over of the key's primary; no connection breaks."""
        before = self.owner(key)
        its = next(row[0] for row in self.rows() if _port(row) == before)
        heir = next(_port(row) for row in self.rows() if row[3] == its and "fail" not in row[2])
        assert cli(heir, "cluster", "failover") == "OK"
        eventually(lambda: self.owner(key) == heir)

    def add_node(self) -> int:
        """A node that has no slots yet."""
        [port] = free_node_ports(1)
        self.start(port)
        cli(port, "cluster", "meet", "127.0.0.1", str(self._live()))
        eventually(lambda: "cluster_state:ok" in cli(port, "cluster", "info"))
        return port

    def begin_move(self, key: str, target: int) -> Callable[[], None]:
        """Moves the keys of a slot but not the slot: its old primary replies ASK. Returns what ends the move."""
        source = self.owner(key)
        assert source is not None
        slot, ids = cli(source, "cluster", "keyslot", key), {_port(row): row[0] for row in self.rows()}
        assert cli(target, "cluster", "setslot", slot, "importing", ids[source]) == "OK"
        assert cli(source, "cluster", "setslot", slot, "migrating", ids[target]) == "OK"
        while names := cli(source, "cluster", "getkeysinslot", slot, "100").split():
            cli(source, "migrate", "127.0.0.1", str(target), "", "0", "5000", "keys", *names)

        def end() -> None:
            for port in (target, source):
                assert cli(port, "cluster", "setslot", slot, "node", ids[target]) == "OK"

        return end


def _port(row: list[str]) -> int:
    return int(row[1].partition("@")[0].rpartition(":")[2])

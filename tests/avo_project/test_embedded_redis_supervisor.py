"""The supervisor's decisions over a real server, with the tests' clock."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from avo_project.embedded_redis import folder as embedded_users
from avo_project.embedded_redis import probe
from avo_project.embedded_redis.folder import FileLock, ServerFolder, wait_until
from avo_project.embedded_redis.process import ServerProcess, server_binary, server_command
from avo_project.embedded_redis.supervisor import DiskSync, Supervisor

pytestmark = pytest.mark.real_server


@pytest.fixture
def supervisor(folder: ServerFolder) -> Iterator[Supervisor]:
    """A supervisor in this process, with a server of its own and an idle timeout of 10 s; its clock is the tests'."""
    with FileLock(folder.server_lock) as lock:
        assert lock.try_exclusive()
        server = ServerProcess(folder, str(server_binary()), lock)
        assert wait_until(lambda: probe.send_command(folder.socket_path, b"PING").startswith(b"+PONG"), 10)
        found = Supervisor(folder, server, lock, idle_timeout_seconds=10)
        yield found
        found.end()


def test_only_what_was_appended_is_synced(tmp_path: Path) -> None:
    sync = DiskSync(tmp_path)
    (tmp_path / "1.incr.aof").write_bytes(b"a")
    assert [sync.step(), sync.step()] == [1, 0]
    (tmp_path / "1.incr.aof").write_bytes(b"ab")
    (tmp_path / "2.incr.aof").write_bytes(b"a")
    assert [sync.step(), sync.step()] == [2, 0]
    (tmp_path / "1.incr.aof").unlink()
    assert sync.step() == 0


def test_the_server_gets_every_promise_of_the_contract(supervisor: Supervisor, folder: ServerFolder) -> None:
    redis = Redis(unix_socket_path=str(folder.socket_path), protocol=2, decode_responses=True)
    wanted = {"port": "0", "appendonly": "yes", "appendfsync": "no", "maxmemory-policy": "noeviction", "save": ""}
    assert redis.config_get(*wanted) == wanted
    assert redis.config_get("dir")["dir"] == str(folder.path)
    assert folder.socket_path.stat().st_mode & 0o777 == 0o700
    redis.close()


def test_options_are_words_of_their_own(tmp_path: Path) -> None:
    command = server_command(ServerFolder(tmp_path / "a b"))
    assert command[command.index("--dir") + 1] == str(tmp_path / "a b")


class TestSupervisor:
    def test_it_ends_the_server_only_after_a_whole_idle_timeout_without_users(
        self, supervisor: Supervisor, folder: ServerFolder
    ) -> None:
        assert [supervisor.step(now) for now in (0, 9.9)] == ["", ""]
        embedded_users.claim(folder)
        assert supervisor.step(10) == ""
        embedded_users.release_claim(folder)
        assert [supervisor.step(now) for now in (11, 20.9)] == ["", ""]
        assert supervisor.step(21) == "idle timeout"
        with FileLock(folder.users_lock) as user:
            assert not user.try_shared()  # whoever comes now has to wait for the end

    def test_a_connection_without_a_claim_does_not_hold_it(self, supervisor: Supervisor, folder: ServerFolder) -> None:
        with socket.socket(socket.AF_UNIX) as foreign:
            foreign.connect(str(folder.socket_path))
            assert supervisor.step(0) == ""
            assert supervisor.step(10) == "idle timeout"

    @pytest.mark.parametrize("name", ["redis.sock", "redis-server.lock", "redis-users.lock"])
    def test_it_ends_the_server_when_its_files_are_gone(
        self, supervisor: Supervisor, folder: ServerFolder, name: str
    ) -> None:
        (folder.path / name).unlink()
        assert supervisor.step(0) == "its data folder or its socket was removed"

    def test_it_follows_a_server_that_ended(self, supervisor: Supervisor, folder: ServerFolder) -> None:
        probe.send_command(folder.socket_path, b"SHUTDOWN")
        assert wait_until(lambda: supervisor.step(0) == "it exited", 5)

    def test_a_replaced_folder_keeps_its_new_socket(self, supervisor: Supervisor, folder: ServerFolder) -> None:
        folder.path.rename(folder.path.with_name("old"))
        folder.prepare()
        folder.socket_path.touch()
        supervisor.end()
        assert folder.socket_path.exists()

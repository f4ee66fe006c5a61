"""The embedded server among real processes that start together, are killed, and leave."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from avo_project.embedded_folder import FileLock, ServerFolder
from avo_project.embedded_redis import EmbeddedServer
from tests.end_to_end.embedded_user import (
    ROOT,
    User,
    guardian_of,
    is_alive,
    kill,
    parent_of,
    run_id,
    served_by,
    server_of,
)
from tests.end_to_end.system import eventually

GONE_WITHIN_SECONDS = 20
LONGER_THAN_THE_LINGER_SECONDS = 2.5
CHAOS_ROUNDS = 1000 if os.environ.get("AVO_CHAOS") == "long" else 4


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty data folder whose server, if any is left, is ended."""
    with tempfile.TemporaryDirectory(prefix="avo-embedded-", ignore_cleanup_errors=True) as name:
        path = Path(name).resolve() / "data"
        yield path
        assert EmbeddedServer(path).stop_if_unused()


def wait_gone(folder: Path) -> None:
    eventually(lambda: not served_by(folder), GONE_WITHIN_SECONDS)


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
            assert served_by(place).keys() == {guardian_of(place), server_of(place)}
    for number in range(20):
        wait_gone(folder / str(number))
    wait_gone(folder / "first")


def test_a_killed_user_harms_no_other(folder: Path) -> None:
    with User() as first, User() as second:
        server = run_id(first.ask(folder, "INFO", "server"))
        assert second.ask(folder, "SET", "kept", "1")
        first.kill()
        time.sleep(LONGER_THAN_THE_LINGER_SECONDS)
        assert run_id(second.ask(folder, "INFO", "server")) == server
        assert second.ask(folder, "GET", "kept") == "1"


def test_a_killed_server_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with User() as user:
        user.ask(folder, "PING")
        user.tell("count", str(folder), "counter", 4)
        for number in range(5):
            time.sleep(0.1 + number * 0.2)  # across the guardian's syncs to the disk
            kill(server_of(folder))
        assert user.hear() == 0


def test_a_killed_guardian_takes_its_server_along_and_both_come_back(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        before = served_by(folder)
        kill(guardian_of(folder))
        eventually(lambda: not before.keys() & served_by(folder).keys())
        assert user.ask(folder, "GET", "kept") == "1"
        assert len(served_by(folder)) == 2


@pytest.mark.parametrize("after_seconds", [0, 0.01, 0.02, 0.03, 0.04])
def test_a_guardian_killed_while_its_server_starts_leaves_no_orphan(folder: Path, after_seconds: float) -> None:
    with User() as user:
        user.tell("ask", 0, str(folder), "PING")
        server = server_of(folder)
        time.sleep(after_seconds)
        kill(*(process for process, words in served_by(folder).items() if "embedded_guardian" in words))
        eventually(lambda: not is_alive(server))
        user.hear()
        assert user.ask(folder, "PING")
        assert served_by(folder).keys() == {guardian_of(folder), server_of(folder)}


def test_guardian_and_server_killed_together_come_back(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        kill(*served_by(folder))
        assert ServerFolder.of(folder).socket_path.exists()  # a stale one
        assert user.ask(folder, "GET", "kept") == "1"
        assert len(served_by(folder)) == 2


def is_busy(folder: Path) -> bool:
    """Whether the server listens and yet answers nobody."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0.05)
        sock.connect(str(ServerFolder.of(folder).socket_path))
        sock.sendall(b"PING\r\n")
        with contextlib.suppress(TimeoutError):
            return not sock.recv(64)
    return True


def test_no_second_server_opens_the_file_before_the_first_has_closed_it(folder: Path) -> None:
    with User() as user, User() as other:
        server = server_of(folder) if other.ask(folder, "PING") else 0
        user.ask(folder, "PING")
        guardian = guardian_of(folder)
        user.tell("ask", 0, str(folder), "EVAL", "for i = 1, 2e8 do local x = i end", 0)  # too busy to end
        with FileLock(ServerFolder.of(folder).server_lock) as lock:
            eventually(lambda: is_busy(folder))
            kill(guardian)
            assert not lock.try_exclusive()
            eventually(lambda: not is_alive(server))
            assert lock.try_exclusive()
        assert other.ask(folder, "PING")


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
        time.sleep(LONGER_THAN_THE_LINGER_SECONDS)
        assert server_of(folder) == server
        kill(child)
        wait_gone(folder)


def test_a_client_that_knows_nothing_of_the_lock_keeps_the_server(folder: Path) -> None:
    with User() as user:
        user.ask(folder, "PING")
        foreign = socket.socket(socket.AF_UNIX)
        foreign.connect(str(ServerFolder.of(folder).socket_path))
    with foreign:
        time.sleep(LONGER_THAN_THE_LINGER_SECONDS)
        foreign.sendall(b"PING\r\n")
        assert foreign.recv(64) == b"+PONG\r\n"
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


def test_a_half_written_command_at_the_end_of_the_file_is_dropped(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        kill(server_of(folder))
        wait_gone(folder)
        [file] = (folder / "appendonlydir").glob("*.incr.aof")
        with file.open("ab") as opened:
            opened.write(b"*3\r\n$3\r\nSET\r\n$4\r\nke")
        assert user.ask(folder, "GET", "kept") == "1"


def test_a_damaged_file_is_reported_in_the_servers_words(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        kill(server_of(folder))
        wait_gone(folder)
        [file] = (folder / "appendonlydir").glob("*.incr.aof")
        file.write_bytes(b"nonsense\r\n" + file.read_bytes())
        refused = user.ask(folder, "GET", "kept")
        assert refused["error"] == "EmbeddedServerError"
        assert "Bad file format reading the append only file" in refused["text"]
        wait_gone(folder)


def test_a_slow_load_is_waited_for_even_when_whoever_started_it_has_gone(folder: Path) -> None:
    with User() as first, User() as second:
        first.ask(folder, "PING")
        kill(server_of(folder))
        wait_gone(folder)
        [file] = (folder / "appendonlydir").glob("*.incr.aof")
        with file.open("ab") as opened:
            opened.write(
                command("EVAL", "for i = 1, 1e5 do local x = i end", "0") * 3000 + command("SET", "loaded", "1")
            )
        first.tell("ask", 0, str(folder), "PING")
        server = server_of(folder)
        [starter] = [process for process in served_by(folder) if parent_of(process) == first.process.pid]
        kill(starter)
        assert second.ask(folder, "GET", "loaded") == "1"
        time.sleep(0.5)  # the guardian had nobody left to tell
        assert server_of(folder) == server
        assert first.hear()


def command(*words: str) -> bytes:
    """A command as the append-only file holds it."""
    return b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)])


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
    with User(linger_seconds=600) as user:
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
    with User(linger_seconds=600) as user:
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
from avo_project.embedded_folder import FileLock, ServerFolder
from avo_project.embedded_users import claim, give_up

folder = ServerFolder.of(Path(sys.argv[1]))
folder.prepare()
ending = FileLock(folder.users_lock)
assert ending.try_exclusive()
threading.Timer(0.5, ending.close).start()
claiming = threading.Thread(target=claim, args=[folder])
claiming.start()
child = os.fork()
if child == 0:
    os._exit(0 if give_up(folder) else 1)
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


def test_chaos_of_kills_loses_nothing_and_leaves_one_server(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = {f"counter-{number}": stack.enter_context(User()) for number in range(3)}
        for _ in range(CHAOS_ROUNDS):
            for key, user in users.items():
                user.tell("count", str(folder), key, 1)
            time.sleep(random.uniform(0, 0.9))
            server, guardian = server_of(folder), guardian_of(folder)
            kill(*random.choice([[server], [guardian], [guardian, server]]))
            eventually(lambda ended=(server, guardian): not any(map(is_alive, ended)))
            assert [user.hear() for user in users.values()] == [0, 0, 0]
            assert [user.ask(folder, "PING") for user in users.values()] == [True, True, True]
            assert served_by(folder).keys() == {guardian_of(folder), server_of(folder)}


def command_line(verb: str, folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "avo_project.embedded_redis", verb, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()

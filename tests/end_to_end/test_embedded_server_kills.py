"""The embedded server under kill -9 of its users, its supervisor and itself, and after crashes."""

import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from avo_project.embedded_redis.folder import FileLock, ServerFolder
from tests.end_to_end.embedded_user import (
    User,
    empty_folder,
    is_alive,
    kill,
    parent_of,
    run_id,
    served_by,
    server_of,
    supervisor_of,
    wait_gone,
)
from tests.end_to_end.system import eventually

LONGER_THAN_IDLE_TIMEOUT_SECONDS = 2.5
CHAOS_ROUNDS = 1000 if os.environ.get("AVO_CHAOS") == "long" else 4


@pytest.fixture
def folder() -> Iterator[Path]:
    with empty_folder() as path:
        yield path


def test_a_killed_user_harms_no_other(folder: Path) -> None:
    with User() as first, User() as second:
        server = run_id(first.ask(folder, "INFO", "server"))
        assert second.ask(folder, "SET", "kept", "1")
        first.kill()
        time.sleep(LONGER_THAN_IDLE_TIMEOUT_SECONDS)
        assert run_id(second.ask(folder, "INFO", "server")) == server
        assert second.ask(folder, "GET", "kept") == "1"


def test_a_killed_server_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with User() as user:
        for number in range(5):
            user.ask(folder, "PING")
            server = server_of(folder)
            user.tell("count", str(folder), "counter", 1.1)
            time.sleep(0.1 + number * 0.2)  # across the supervisor's syncs to the disk
            kill(server)
            assert user.hear() == 0


def test_a_killed_supervisor_takes_its_server_along_and_both_come_back(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        before = served_by(folder)
        kill(supervisor_of(folder))
        eventually(lambda: not before.keys() & served_by(folder).keys())
        assert user.ask(folder, "GET", "kept") == "1"
        assert len(served_by(folder)) == 2


@pytest.mark.parametrize("after_seconds", [0, 0.01, 0.02, 0.03, 0.04])
def test_a_supervisor_killed_while_its_server_starts_leaves_no_orphan(folder: Path, after_seconds: float) -> None:
    with User() as user:
        user.tell("ask", 0, str(folder), "PING")
        server = server_of(folder)
        time.sleep(after_seconds)
        kill(*(process for process, words in served_by(folder).items() if "embedded_redis.supervisor" in words))
        eventually(lambda: not is_alive(server))
        user.hear()
        assert user.ask(folder, "PING")
        assert served_by(folder).keys() == {supervisor_of(folder), server_of(folder)}


def test_supervisor_and_server_killed_together_come_back(folder: Path) -> None:
    with User() as user:
        assert user.ask(folder, "SET", "kept", "1")
        kill(server_of(folder), supervisor_of(folder))
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
        supervisor = supervisor_of(folder)
        user.tell("ask", 0, str(folder), "EVAL", "for i = 1, 2e8 do local x = i end", 0)  # too busy to end
        with FileLock(ServerFolder.of(folder).server_lock) as lock:
            eventually(lambda: is_busy(folder))
            kill(supervisor)
            assert not lock.try_exclusive()
            eventually(lambda: not is_alive(server))
            assert lock.try_exclusive()
        assert other.ask(folder, "PING")


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


def command(*words: str) -> bytes:
    """A command as the append-only file holds it."""
    return b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)])


def test_a_slow_load_is_waited_for_even_when_whoever_started_it_has_gone(folder: Path) -> None:
    with User() as first, User() as second:
        first.ask(folder, "PING")
        kill(server_of(folder))
        wait_gone(folder)
        [file] = (folder / "appendonlydir").glob("*.incr.aof")
        with file.open("ab") as opened:
            opened.write(
                command("EVAL", "for i = 1, 1e4 do local x = i end", "0") * 30_000 + command("SET", "loaded", "1")
            )
        first.tell("ask", 0, str(folder), "PING")
        server = server_of(folder)
        [starter] = [process for process in served_by(folder) if parent_of(process) == first.process.pid]
        kill(starter)
        assert second.ask(folder, "GET", "loaded") == "1"
        time.sleep(0.5)  # the supervisor had nobody left to tell
        assert server_of(folder) == server
        assert first.hear()


def test_chaos_of_kills_loses_nothing_and_leaves_one_server(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = {f"counter-{number}": stack.enter_context(User()) for number in range(3)}
        for _ in range(CHAOS_ROUNDS):
            assert [user.ask(folder, "PING") for user in users.values()] == [True, True, True]
            server, supervisor = server_of(folder), supervisor_of(folder)
            for key, user in users.items():
                user.tell("count", str(folder), key, 1)
            time.sleep(random.uniform(0, 0.9))
            kill(*random.choice([[server], [supervisor], [supervisor, server]]))
            eventually(lambda ended=(server, supervisor): not any(map(is_alive, ended)))
            assert [user.hear() for user in users.values()] == [0, 0, 0]
            assert [user.ask(folder, "PING") for user in users.values()] == [True, True, True]
            assert served_by(folder).keys() == {supervisor_of(folder), server_of(folder)}

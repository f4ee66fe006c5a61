"""Minimal RESP client of the embedded server, without redis-py: ping, wait until it has loaded, shut down."""

import contextlib
import select
import socket
import time
from pathlib import Path

ANSWER_SECONDS = 5.0
LOADING = b"-LOADING"
LOADING_POLL_SECONDS = 0.05


def connect(path: Path, timeout_seconds: float | None = ANSWER_SECONDS) -> socket.socket | None:
    """A connection to the server, or None when no server listens. Raises OSError for anything else."""
    with contextlib.ExitStack() as unless_connected:
        sock = unless_connected.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.settimeout(timeout_seconds)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        unless_connected.pop_all()
    return sock


def send_command(path: Path, command: bytes) -> bytes:
    """The reply to one command on a connection of its own; empty when no server listens or it ended.

    Raises TimeoutError after ANSWER_SECONDS.
    """
    sock = connect(path)
    if sock is None:
        return b""
    with sock:
        return _reply(sock, command)


def wait_loaded(sock: socket.socket, deadline: float) -> bool:
    """Waits until the server has loaded its data. False when it ended; TimeoutError at ``deadline`` (monotonic)."""
    while (reply := _reply(sock, b"PING")).startswith(LOADING):
        if time.monotonic() >= deadline:
            raise TimeoutError("it is still loading its append-only file")
        select.select([sock], [], [], LOADING_POLL_SECONDS)  # becomes readable when the server ends
    return bool(reply)


def _reply(sock: socket.socket, command: bytes) -> bytes:
    try:
        sock.sendall(command + b"\r\n")
        with sock.makefile("rb") as reader:
            line = reader.readline()
            return reader.read(int(line[1:]) + 2) if line.startswith(b"$") else line
    except (BrokenPipeError, ConnectionResetError):
        return b""

"""``python -m avo_project.web_server``: Granian with a shared socket, request limits and metrics of all workers.

The listening socket is created here, or inherited from systemd, and shared by the workers. A port in use is therefore
reported at once, and no connection is lost when a worker ends: the next one accepts it from the same queue. This
process loads no application code, so that a reload (HUP) starts workers with the code on disk.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import socket
import threading
import time
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server import Server

from avo_project.environment import Environment
from avo_project.observability import counter_files
from avo_project.observability.logging import chosen_format, chosen_level, logging_settings

logger = logging.getLogger(__name__)

HEADER_SECONDS = 10  # for the request head, and idle time of a kept-alive connection
START_SECONDS = 60  # for a worker to load the application in a reload
STOP_SECONDS = 5  # for requests in flight when a worker stops
HEAD_GRACE_SECONDS = 0.2  # for the request head on a connection accepted just before its worker stops
UNSENT_SECONDS = 30  # for a client to read its response
BACKLOG = 1024
_FIRST_INHERITED = 3  # systemd's first socket (sd_listen_fds(3))
_ACCESS_FORMAT = '%(addr)s "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).0f ms'


class SharedSocketServer(Server):  # type: ignore[misc, valid-type]
    """Granian whose workers share one listening socket. By default each has its own (SO_REUSEPORT), whose queued
    connections are reset when its worker ends."""

    def __init__(self, listener: socket.socket, max_memory_mb: int, **options: Any) -> None:
        super().__init__("avo_project.asgi:application", **options)
        self._listener = listener
        self._max_memory_mb = max_memory_mb

    def _init_shared_socket(self) -> None:
        is_unix = self._listener.family == socket.AF_UNIX
        self._shd = SocketHolder(self._listener.fileno(), is_unix, BACKLOG)  # type: ignore[call-arg]
        self._sfd, self._ssp, self._sso = self._listener.fileno(), None, self._listener

    @property
    def _bind_addr_fmt(self) -> str:
        return address_of(self._listener)

    def _respawn_workers(self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0.0) -> None:
        """Replaces workers, each once its successor has loaded the application. One that cannot leaves the rest as they
        are, so that a reload of broken code changes nothing. Granian stops a worker after a fixed delay instead."""
        for idx in workers:
            if not self.wrks[idx].is_alive():
                super()._respawn_workers([idx], spawn_target, target_loader, delay=0.0)
            elif not self._replace(idx, spawn_target, target_loader):
                logger.error("worker-%d cannot be replaced: its successor did not load. The old workers stay", idx + 1)
                return

    def _replace(self, idx: int, spawn_target: Any, target_loader: Any) -> bool:
        ready = multiprocessing.get_context("spawn").Event()
        worker = self._spawn_worker(idx=idx, target=spawn_target, callback_loader=partial(target_loader, ready=ready))
        worker.interrupt_by_parent = True  # until it is ready its end concerns nobody else
        worker.start()
        give_up_at = time.monotonic() + START_SECONDS
        while not ready.wait(0.05):
            if not worker.is_alive() or self.interrupt_signal or time.monotonic() > give_up_at:
                worker.kill()
                worker.join()
                return False
        old, self.wrks[idx] = self.wrks[idx], worker
        self.respawned_wrks[idx] = time.monotonic()
        worker.interrupt_by_parent = False
        old.terminate()
        old.join(STOP_SECONDS)
        if old.is_alive():
            old.kill()
            old.join()
        return True

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        # Set here, because the constructor would warn about unshared sockets.
        self.workers_rss = self._max_memory_mb * 1024 * 1024
        super().startup(spawn_target, target_loader)


def address_of(listener: socket.socket) -> str:
    name = listener.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"


def load_application(listener_inode: int, ready: Event | None = None) -> Any:
    """Loads the application and sets ``ready``; the entry point of each worker, called before its event loop runs."""
    threading.Thread(target=_end_with_the_parent, args=(os.getppid(),), daemon=True).start()
    loop = asyncio.get_event_loop()
    loop.call_soon(loop.add_signal_handler, signal.SIGTERM, _stop_accepting, loop, listener_inode)
    counter_files.claim()
    from avo_project.asgi import application

    if ready is not None:
        ready.set()
    return application


def _stop_accepting(loop: asyncio.AbstractEventLoop, listener_inode: int) -> None:
    """Stops this worker in two steps. Granian stops accepting and shuts its connections down at once, and hyper then
    closes a connection on which nothing was read yet; its client would get no answer. So the listening socket is first
    replaced in this process by one to which nobody connects, and SIGINT, which Granian handles, follows."""
    with socket.create_server(("127.0.0.1", 0)) as nobody_connects:
        nobody_connects.setblocking(False)
        for descriptor in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            try:
                is_listener = os.fstat(descriptor).st_ino == listener_inode
            except OSError:  # the descriptor of the listing itself
                continue
            if is_listener:
                os.dup2(nobody_connects.fileno(), descriptor, inheritable=False)
    loop.call_later(HEAD_GRACE_SECONDS, os.kill, os.getpid(), signal.SIGINT)


def _end_with_the_parent(parent: int) -> None:
    """Ends the worker when its server was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)


def inherited_socket() -> socket.socket | None:
    """The socket inherited from systemd (avo-web.socket), or None."""
    handed = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "0")
    os.environ.pop("LISTEN_FDNAMES", None)
    if handed[0] != str(os.getpid()) or handed[1] in {"", "0"}:
        return None
    return socket.socket(fileno=_FIRST_INHERITED)


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Ends the process with one line when the address is unavailable."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as failure:
        listener.close()
        reason = failure.strerror or failure
        raise SystemExit(
            f"PORT: {host}:{port} cannot be used: {reason}. Choose another port, or stop the program that uses it."
        ) from None
    return listener


def port_from(text: str) -> int:
    """A TCP port. Ends the process with one line when it is invalid."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise SystemExit(f"PORT: {text!r} is not a port. Write a number from 1 to 65535.")
    return int(text)


def serve(listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; HUP starts new workers, then ends the old ones."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and listener.family != socket.AF_UNIX:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_SECONDS * 1000)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536), hard))
    multiprocessing.set_start_method("spawn")  # a forked worker would keep the modules of this process
    level = chosen_level(os.environ)
    env = Environment()
    workers = env.whole_number("WEB_CONCURRENCY", default=2)
    os.environ["WEB_CONCURRENCY"] = str(workers)
    with counter_files.folder() as counters:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        SharedSocketServer(
            listener,
            env.whole_number("WEB_MAX_MEMORY_MB", default=1024),
            interface=Interfaces.ASGI,
            workers=workers,
            loop=Loops.uvloop,
            runtime_mode=RuntimeModes.st,
            http="1",
            websockets=False,
            backlog=BACKLOG,
            backpressure=4096,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
            respawn_failed_workers=True,
            workers_kill_timeout=STOP_SECONDS,
            log_level=LogLevels(level.lower()),
            log_dictconfig=logging_settings(chosen_format(os.environ, debug=False), level),
            log_access=os.environ.get("WEB_ACCESS_LOG", "") == "on",
            log_access_format=_ACCESS_FORMAT,
        ).serve(target_loader=partial(load_application, os.fstat(listener.fileno()).st_ino), wrap_loader=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m avo_project.web_server", description=__doc__)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="Address to listen on (default: 127.0.0.1). Ignored with a socket from systemd.",
    )
    parser.add_argument("--workers", type=int, help="Number of worker processes (default: WEB_CONCURRENCY, else 2).")
    parser.add_argument(
        "--check-ports",
        nargs="+",
        metavar="PORT",
        help="Only check that these ports are free; +N adds N to the first port.",
    )
    options = parser.parse_args()
    if options.check_ports:
        first = port_from(options.check_ports[0])
        for text in options.check_ports:
            port = port_from(str(first + int(text[1:])) if text.startswith("+") else text)
            bound_socket(options.host, port).close()
        return
    if options.workers is not None:
        os.environ["WEB_CONCURRENCY"] = str(options.workers)
    serve(inherited_socket() or bound_socket(options.host, port_from(os.environ.get("PORT") or "8000")))


if __name__ == "__main__":
    from avo_project.web_server import main as imported_main  # so that workers import the classes by module name

    imported_main()

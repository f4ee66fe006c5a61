"""Slow callers, a Redis that hangs, a full disk and a key set that drips, all at once: the rest goes on."""

import contextlib
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import httpx

from tests.end_to_end.full_disk import filled, small_disk
from tests.end_to_end.load import load
from tests.end_to_end.system import data_folder
from tests.end_to_end.throttled_web import OwnRedis, Web, web
from tests.throttling.clerk import ISSUER, KEY, token

SLOW_CALLERS = 50
LOAD_SECONDS = 12
_HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
BEGINNINGS = (
    b"",
    b"GET /livez HTTP/1.1\r\nHost: loc",
    _HEAD % b"/api/outreach/touches" + b'{"inbox": "',
    _HEAD % b"/webhooks/clerk" + b'{"data": {',
)


@contextmanager
def running_thread(work: Callable[[threading.Event], None]) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def slow_callers(port: int) -> Callable[[threading.Event], None]:
    """Fifty that begin a request and stall; whoever is sent away comes back."""

    def call(beginning: bytes) -> socket.socket:
        caller = socket.create_connection(("127.0.0.1", port), timeout=10)
        caller.sendall(beginning)
        caller.setblocking(False)
        return caller

    def work(over: threading.Event) -> None:
        beginnings = cycle(BEGINNINGS)
        calling = [call(next(beginnings)) for _ in range(SLOW_CALLERS)]
        while not over.wait(0.2):
            for place, caller in enumerate(calling):
                with contextlib.suppress(BlockingIOError):
                    caller.recv(65_536)
                    caller.close()
                    calling[place] = call(next(beginnings))
        for caller in calling:
            caller.close()

    return work


@contextmanager
def dripping_key_set(seconds: float) -> Iterator[str]:
    """The URL of a key set of which each caller gets a byte now and then, for ``seconds``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(caller: socket.socket) -> None:
        until = time.monotonic() + seconds
        with caller, contextlib.suppress(OSError):
            caller.recv(65_536)
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n")
            while time.monotonic() < until:
                caller.sendall(b" ")
                time.sleep(0.1)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/jwks"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def customers(running: Web, seen: Counter[tuple[str, int]]) -> Callable[[threading.Event], None]:
    """Calls for everything that needs what is broken, by every kind of credential."""
    calls = (
        ("GET", "/api/signals", {"Authorization": f"Bearer {token(KEY)}"}),
        ("GET", "/api/signals", {"Authorization": "Token 0123456789abcdef"}),
        ("GET", "/api/intelligence/regime/EURUSD=X", {}),
        ("GET", "/api/intelligence/regime", {}),
        ("GET", "/api/macro", {}),
        ("GET", "/api/limits", {}),
        ("POST", "/api/outreach/touches", {"Authorization": f"Bearer {token(KEY)}"}),
        ("POST", "/u/nothing", {}),
        ("POST", "/admin/login/", {}),
        ("GET", "/readyz", {}),
        ("GET", "/admin/", {"Cookie": "sessionid=0123456789abcdef"}),
    )

    def work(over: threading.Event) -> None:
        for method, path, headers in cycle(calls):
            if over.is_set():
                return
            url = f"http://127.0.0.1:{running.port}{path}"
            seen[path, httpx.request(method, url, headers=headers, timeout=30).status_code] += 1

    return work


def test_the_rest_goes_on_while_everything_is_slow_stopped_or_full() -> None:
    seen: Counter[tuple[str, int]] = Counter()
    with (
        data_folder() as folder,
        data_folder() as elsewhere,
        small_disk(folder, "24m"),
        dripping_key_set(3) as key_set,
        contextlib.ExitStack() as stack,
    ):
        redis = OwnRedis(elsewhere)
        redis.start()
        stack.callback(redis.kill)
        given = {"CLERK_ISSUER": ISSUER, "CLERK_JWKS_URL": key_set, "CLERK_WEBHOOK_SECRET": "whsec_c2VjcmV0c2VjcmV0"}
        with web(folder, workers=2, REDIS_URL=f"unix://{redis.socket}", **given) as running, filled(folder):
            assert redis.process is not None
            redis.process.send_signal(signal.SIGSTOP)
            with (
                running_thread(slow_callers(running.port)),
                running_thread(customers(running, seen)),
                running_thread(customers(running, seen)),
                load(f"http://127.0.0.1:{running.port}/livez", LOAD_SECONDS) as outcome,
            ):
                pass
            redis.process.send_signal(signal.SIGCONT)
    assert (outcome.lost, set(outcome.statuses)) == (0, {200})
    assert outcome.p99_ms < 1_000
    failures = {call: count for call, count in seen.items() if call[1] >= 500 and call[1] != 503}
    assert not failures
    assert any(status == 503 for _, status in seen), seen

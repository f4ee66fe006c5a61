"""Django's WSGI handler under an ASGI server: bodies are read in the event loop, requests run in threads.

A slow client therefore costs a few kilobytes and never a thread. Django's own ASGI handler would pass every request
through the event loop three times; here it serves the streaming routes only.
"""

import asyncio
import io
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from avo_project.http.json import dump_json
from avo_project.http.problems import MEDIA_TYPE, problem_body
from avo_project.http.request_limits import REFUSED, Receive, RefusedError, check_head, read_body

logger = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Environ = dict[str, Any]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

THREADS = 8
MAX_WAITING = 1_000
MAX_WAIT_SECONDS = 10.0
_PROTOCOLS = {"1": "HTTP/1.0", "1.0": "HTTP/1.0"}  # Granian sends 1
_LIVENESS = "/livez"  # must not queue behind requests that wait for a store


class RequestThreads:
    """A pool of threads that run a WSGI application. ``run`` is awaited in the event loop of the constructor."""

    def __init__(self, application: Any, count: int) -> None:
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Environ, asyncio.Future[Answer], float]] = queue.SimpleQueue()
        self._finished: deque[tuple[asyncio.Future[Answer], Answer]] = deque()
        self._is_due = False
        for _ in range(count):
            threading.Thread(target=self._work, name="request", daemon=True).start()

    async def run(self, environ: Environ) -> Answer:
        """The response of one request. Raises RefusedError when too many are queued."""
        if self._jobs.qsize() >= MAX_WAITING:
            raise RefusedError(503, "Too many requests are waiting. Try again.")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._jobs.put((environ, answer, time.monotonic()))
        return await answer

    def _work(self) -> None:
        while True:
            environ, future, since = self._jobs.get()
            if time.monotonic() - since > MAX_WAIT_SECONDS:
                answer = problem_answer(503, "The server is too busy. Try again.")
            else:
                answer = self._answer(environ)
            self._finished.append((future, answer))
            if not self._is_due:
                self._is_due = True
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """Runs in the event loop, once for all responses finished by then, because each wake-up is expensive."""
        self._is_due = False
        while self._finished:
            future, answer = self._finished.popleft()
            if not future.done():
                future.set_result(answer)

    def _answer(self, environ: Environ) -> Answer:
        started: list[tuple[int, list[tuple[bytes, bytes]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            started.append((int(status[:3]), fields))

        try:
            response = self._application(environ, start_response)
            try:
                body = b"".join(response)
            finally:
                response.close()
        except Exception:
            logger.exception("a request failed outside of Django's own error handling")
            return problem_answer(500, "Internal server error. It was logged.")
        return (*started[0], body)


class WSGIBridge:
    """The ASGI application. ``asgi_paths`` go to ``asgi``, everything else to ``wsgi`` in threads."""

    def __init__(self, wsgi: Any, asgi: Any, asgi_paths: frozenset[str]) -> None:
        self._wsgi = wsgi
        self._asgi = asgi
        self._asgi_paths = asgi_paths
        self._threads: RequestThreads | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._threads is None:
            self._start()
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> None:
        self._threads = RequestThreads(self._wsgi, THREADS)
        self._liveness = RequestThreads(self._wsgi, 1)
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGTERM)

            def stop(number: int, frame: Any) -> None:
                loop.call_soon_threadsafe(self._stopping.set)
                if callable(before):
                    before(number, frame)
                elif before == signal.SIG_DFL:
                    signal.signal(number, signal.SIG_DFL)
                    os.kill(os.getpid(), number)

            signal.signal(signal.SIGTERM, stop)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            length = check_head(scope)
            streams = scope["path"] in self._asgi_paths
            body = await read_body(receive) if streams or length != 0 else b""
            if streams:
                await self._asgi(scope, self._replayed(body, receive), send)
                return
            assert self._threads is not None
            threads = self._liveness if scope["path"] == _LIVENESS else self._threads
            answer = await threads.run(environ_of(scope, body))
        except RefusedError as refusal:
            REFUSED.labels(str(refusal.status)).inc()
            answer = problem_answer(refusal.status, refusal.detail)
        status, headers, body = answer
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _replayed(self, body: bytes, receive: Receive) -> Receive:
        """``body`` first, then a disconnect when the client leaves or this process stops, which ends a stream."""
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def leaves() -> None:
            await receive()

        async def next_message() -> Mapping[str, Any]:
            if unread:
                return unread.pop()
            ends = {asyncio.create_task(leaves()), asyncio.create_task(self._stopping.wait())}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            return {"type": "http.disconnect"}

        return next_message


def problem_answer(status: int, detail: str) -> Answer:
    """A problem response of the bridge. It closes the connection, because the request may not have been read."""
    body = dump_json(problem_body(status, detail))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close"), (b"cache-control", b"private, no-store")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return status, headers, body


def environ_of(scope: Scope, body: bytes) -> Environ:
    """The WSGI environ (PEP 3333) of an ASGI request with its body."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": _PROTOCOLS.get(scope["http_version"], "HTTP/1.1"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name or name == b"content-length":
            continue  # X_Forwarded_For would become X-Forwarded-For
        key = "CONTENT_TYPE" if name == b"content-type" else f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ

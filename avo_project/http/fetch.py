"""HTTP requests to third-party servers with a total timeout and a maximum response size."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RDWR, socket
from typing import Any, Self

import httpx

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")
_SENT = ".send_request_headers.started"


class TooLargeError(httpx.TransportError):
    """The response is larger than ``max_bytes``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A closed ``response`` with its status and headers, and the undecoded ``body``."""

    response: httpx.Response
    body: bytes


def fetch(method: str, url: str, *, seconds: float, max_bytes: int, **options: Any) -> Answer:
    """Sends one request with a new client. Raises httpx.HTTPError, also for an error status."""
    with BoundedClient(seconds, max_bytes) as client:
        answer = client.send(client.build_request(method, url, **options))
    answer.response.raise_for_status()
    return answer


class BoundedClient:
    """Sends one request at a time, each with a total timeout of ``seconds``: name resolution, connection, response.

    httpx limits the time of each read only, so a slow server or name server could block it without end. The request
    therefore runs in a thread, which is abandoned after the timeout; shutting down its sockets ends it. At most
    ``max_bytes`` of a response are read (0: no body). Redirects are not followed and nothing is decompressed.
    """

    def __init__(self, seconds: float, max_bytes: int, *, trust_env: bool = True) -> None:
        self._seconds, self._max_bytes, self._trust_env = seconds, max_bytes, trust_env
        self._client: httpx.Client | None = None
        self._sockets: list[socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        headers = {"Accept-Encoding": "identity", **options.pop("headers", {})}
        return self._open().build_request(method, url, headers=headers, **options)

    def send(self, request: httpx.Request) -> Answer:
        """Raises httpx.HTTPError: ConnectTimeout when the timeout came before anything was sent, else ReadTimeout."""
        exchange = _Exchange(self._open(), request, self._max_bytes, self._sockets)
        threading.Thread(target=exchange.run, name="fetch", daemon=True).start()
        try:
            return exchange.outcome.result(self._seconds)
        except TimeoutError:
            if exchange.outcome.done():
                return exchange.outcome.result()
        self._client, self._sockets = None, []
        exchange.abandon()
        late = f"no complete response within {self._seconds:g} s"
        raise (
            httpx.ReadTimeout(late, request=request)
            if exchange.is_sent
            else httpx.ConnectTimeout(late, request=request)
        )

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(timeout=self._seconds, trust_env=self._trust_env)
        return self._client


class _Exchange:
    """One request in its own thread; ``sockets`` are those of its client."""

    def __init__(self, client: httpx.Client, request: httpx.Request, max_bytes: int, sockets: list[socket]) -> None:
        self.outcome: Future[Answer] = Future()
        self.is_sent = False
        self._client, self._request, self._max_bytes, self._sockets = client, request, max_bytes, sockets
        self._is_abandoned = threading.Event()
        request.extensions["trace"] = self._note

    def run(self) -> None:
        try:
            self.outcome.set_result(self._answer())
        except Exception as error:  # noqa: BLE001 - raised by ``outcome.result``
            self.outcome.set_exception(error)
        if self._is_abandoned.is_set():
            self._client.close()

    def abandon(self) -> None:
        """Ends the request and closes its client after a timeout."""
        self._is_abandoned.set()
        for one in self._sockets:
            _shut_down(one)
        if self.outcome.done():
            self._client.close()

    def _note(self, event: str, info: dict[str, Any]) -> None:
        """httpx's trace hook."""
        if event.endswith(_SENT):
            self.is_sent = True
        elif event.endswith(_CONNECTED):
            connected: socket = info["return_value"].get_extra_info("socket")
            self._sockets[:] = [*(one for one in self._sockets if one.fileno() >= 0), connected]
            if self._is_abandoned.is_set():
                _shut_down(connected)

    def _answer(self) -> Answer:
        response = self._client.send(self._request, stream=True)
        try:
            return Answer(response, self._body(response) if self._max_bytes else b"")
        finally:
            response.close()

    def _body(self, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise httpx.DecodingError("the response is compressed despite Accept-Encoding", request=self._request)
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLargeError(f"the response is larger than {self._max_bytes} bytes", request=self._request)
        return bytes(body)


def _shut_down(connected: socket) -> None:
    """Shuts the socket down, which, unlike closing it, wakes a thread that reads from it."""
    with suppress(OSError):
        connected.shutdown(SHUT_RDWR)

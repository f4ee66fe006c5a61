"""Which Redis servers answer at once: asked all together, each by itself, none for longer than one is ready to wait."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django_redis import get_redis_connection

from avo_project.redis_urls import parse_redis_url


@dataclass(slots=True)
class _Asked:
    """One question on its way. ``failure`` is what went wrong, empty for nothing."""

    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""


class Pinger:
    """A server that hangs is asked by one thread at a time, however often somebody wants to know, and one that serves
    several aliases is asked once for all of them."""

    def __init__(
        self, ping: Callable[[str], object], server_of: Callable[[str], Hashable] = lambda alias: alias
    ) -> None:
        self._ping = ping
        self._server_of = server_of
        self._asked: dict[Hashable, _Asked] = {}
        self._lock = threading.Lock()

    def failures(self, aliases: Iterable[str], within_seconds: float) -> dict[str, str]:
        """For each of ``aliases`` why it does not answer; empty for one that does."""
        servers = {alias: self._server_of(alias) for alias in aliases}
        asked = {server: self._ask(alias, server) for server, alias in {servers[one]: one for one in servers}.items()}
        until = time.monotonic() + within_seconds
        failures = {
            server: one.failure
            if one.done.wait(max(0.0, until - time.monotonic()))
            else f"no answer within {within_seconds:g} s"
            for server, one in asked.items()
        }
        return {alias: failures[server] for alias, server in servers.items()}

    def _ask(self, alias: str, server: Hashable) -> _Asked:
        with self._lock:
            running = self._asked.get(server)
            if running is not None and not running.done.is_set():
                return running
            asked = self._asked[server] = _Asked()
        threading.Thread(target=self._run, args=(alias, asked), name=f"ping-{alias}", daemon=True).start()
        return asked

    def _run(self, alias: str, asked: _Asked) -> None:
        try:
            self._ping(alias)
        except Exception as failure:  # noqa: BLE001 - kept for whoever asked
            asked.failure = str(failure) or type(failure).__name__
        finally:
            asked.done.set()


def server_of(alias: str) -> Hashable:
    """Equal for aliases on one server, cluster or Sentinel's service, whatever their users and databases."""
    target = parse_redis_url(settings.CACHES[alias]["LOCATION"][0])
    return target.kind, target.hosts, target.path, target.service


def _ping(alias: str) -> None:
    get_redis_connection(alias).ping()


SERVER_PINGER = Pinger(_ping, server_of)
ROLE_PINGER = Pinger(_ping)
"""Each role by itself, with its own user."""

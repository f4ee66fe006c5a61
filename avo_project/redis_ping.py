"""Which Redis servers answer at once: asked all together, each by itself, none for longer than one is ready to wait."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django_redis import get_redis_connection
from redis.exceptions import RedisError


@dataclass(slots=True)
class _Asked:
    """One question on its way. ``failure`` is what went wrong, empty for nothing."""

    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""


class Pinger:
    """A server that hangs is asked by one thread at a time, however often somebody wants to know."""

    def __init__(self, ping: Callable[[str], object]) -> None:
        self._ping = ping
        self._asked: dict[str, _Asked] = {}
        self._lock = threading.Lock()

    def failures(self, aliases: Iterable[str], within_seconds: float) -> dict[str, str]:
        """For each of ``aliases`` why it does not answer; empty for one that does."""
        asked = {alias: self._ask(alias) for alias in set(aliases)}
        until = time.monotonic() + within_seconds
        return {
            alias: one.failure
            if one.done.wait(max(0.0, until - time.monotonic()))
            else f"no answer within {within_seconds:g} s"
            for alias, one in asked.items()
        }

    def _ask(self, alias: str) -> _Asked:
        with self._lock:
            running = self._asked.get(alias)
            if running is not None and not running.done.is_set():
                return running
            asked = self._asked[alias] = _Asked()
        threading.Thread(target=self._run, args=(alias, asked), name=f"ping-{alias}", daemon=True).start()
        return asked

    def _run(self, alias: str, asked: _Asked) -> None:
        try:
            self._ping(alias)
        except RedisError as failure:
            asked.failure = str(failure) or type(failure).__name__
        finally:
            asked.done.set()


PINGER = Pinger(lambda alias: get_redis_connection(alias).ping())

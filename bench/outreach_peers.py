"""One peer's worker over a queue of no-op jobs; outreach_queue.py runs this in an environment that has it.

PYTHON bench/outreach_peers.py dramatiq|huey SOCKET JOBS     prints jobs a second, enqueuing not counted
"""

import sys
import threading
import time
from collections.abc import Callable

import redis

Run = Callable[[int], float]


class Countdown:
    """Set when that many jobs have run; counting needs a lock only where jobs run in several threads."""

    def __init__(self, jobs: int) -> None:
        self._left, self._lock, self.over = jobs, threading.Lock(), threading.Event()

    def tick(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.over.set()


def run_dramatiq(socket: str, jobs: int) -> float:
    """One process of 8 threads, its default."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    countdown = Countdown(jobs)
    broker = RedisBroker(client=redis.Redis(unix_socket_path=socket))
    dramatiq.set_broker(broker)
    actor = dramatiq.actor(countdown.tick, actor_name="noop")
    for _ in range(jobs):
        actor.send()
    worker = dramatiq.Worker(broker, worker_threads=8)
    return _seconds(worker.start, countdown, worker.stop)


def run_huey(socket: str, jobs: int) -> float:
    """One worker thread, its default."""
    from huey import RedisHuey

    countdown = Countdown(jobs)
    huey = RedisHuey(connection_pool=redis.ConnectionPool.from_url(f"unix://{socket}"), results=False)
    task = huey.task()(countdown.tick)
    for _ in range(jobs):
        task()
    consumer = huey.create_consumer(workers=1, periodic=False)
    return _seconds(consumer.start, countdown, consumer.stop)


def _seconds(start: Callable[[], object], countdown: Countdown, stop: Callable[[], object]) -> float:
    began = time.perf_counter()
    start()
    countdown.over.wait()
    seconds = time.perf_counter() - began
    stop()
    return seconds


def main(peer: str, socket: str, jobs: int) -> None:
    redis.Redis(unix_socket_path=socket).flushall()
    runs = {"dramatiq": run_dramatiq, "huey": run_huey}
    print(jobs / runs[peer](socket, jobs))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

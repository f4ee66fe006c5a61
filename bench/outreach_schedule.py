"""100,000 touches over 10,000 inboxes of one touch a day each, end to end; then the cost of an idle worker.

    taskset -c 1 python bench/outreach_schedule.py [--touches 100000] [--inboxes 10000] [--idle-seconds 15]

Floors: the same rows by bulk_create alone, and BLMOVE + LREM for the touches that may leave.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import redis
from bench_project import ROOT, loaded_project, rate, redis_socket, show
from outreach_ledger import NoSender
from outreach_queue import connect, floor_drain

LINE = '{"inbox":"i%d@example.com","recipient":"r%d@example.com","subject":"Hi","body":"Hello"}'


def make_inboxes(count: int) -> None:
    from outreach.models import Inbox

    Inbox.objects.bulk_create(Inbox(address=f"i{number}@example.com", per_day=1) for number in range(count))


def lines(touches: int, inboxes: int) -> Iterator[bytes]:
    return ((LINE % (number % inboxes, number)).encode() for number in range(touches))


def enqueue(touches: int, inboxes: int) -> int:
    from outreach.services.intake import Intake, accept_lines

    return accept_lines(Intake.connect(time.time), lines(touches, inboxes), print)["queued"]


def insert(touches: int) -> int:
    """The rows alone, as they were accepted, after they were taken out again."""
    from django.db import transaction

    from outreach.models import Touch
    from outreach.services.intake import BATCH

    rows = list(Touch.objects.all())
    Touch.objects.all().delete()

    def write() -> int:
        for start in range(0, touches, BATCH):
            with transaction.atomic():
                Touch.objects.bulk_create(rows[start : start + BATCH])
        return touches

    return rate(write)


def send(may_leave: int) -> int:
    """One worker sends what the limits of all inboxes allow today."""
    from avo_project.runtime.stop_flag import StopFlag
    from outreach.services.process import make_worker

    worker = make_worker("bench", 32, 60.0)
    worker.run(StopFlag(), stop_when_idle=True)
    assert worker.counters["sent"] == may_leave, str(worker.counters)
    return may_leave


def idle_commands(client: redis.Redis, seconds: float) -> float:
    """Commands a second of a worker process before a full queue of which nothing may leave today."""
    command = [sys.executable, "manage.py", "outreach_worker"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=subprocess.DEVNULL)
    try:
        time.sleep(40)  # it starts, and compares queue and ledger: in full, and what was queued in the minute before
        before, began = client.info("stats")["total_commands_processed"], time.perf_counter()
        time.sleep(seconds)
        after = client.info("stats")["total_commands_processed"]
        return (after - before - 1) / (time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--touches", type=int, default=100_000)
    parser.add_argument("--inboxes", type=int, default=10_000)
    parser.add_argument("--idle-seconds", type=float, default=15.0)
    options = parser.parse_args()
    with loaded_project() as socket:
        from django.conf import settings

        settings.OUTREACH = {**settings.OUTREACH, "SENDERS": {"email": f"{NoSender.__module__}.NoSender"}}
        make_inboxes(options.inboxes)
        mine = rate(lambda: enqueue(options.touches, options.inboxes))
        show(f"enqueue {options.touches:,} over {options.inboxes:,}", [mine], [insert(options.touches)], "/s")
        with redis_socket() as other:
            floor = floor_drain(connect(other), options.inboxes)
        mine = rate(lambda: send(options.inboxes))
        show(f"send the {options.inboxes:,} that may leave", [mine], [floor], "/s", ">= 1,500/s")
        print(f"idle worker: {idle_commands(connect(socket), options.idle_seconds):.1f} commands/s  target < 5/s")


if __name__ == "__main__":
    main()

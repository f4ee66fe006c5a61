"""The whole worker with its ledger and a sender that does nothing, compared with the minimum in plain SQL.

    taskset -c 1 python bench/outreach_ledger.py [--rounds 5] [--touches 4000] [--concurrency 32]

Floor: the same touches in plain SQL: an UPDATE to `sending`, an INSERT of the attempt, an UPDATE to `sent`, a batch of
``--concurrency`` in a transaction of its own. DATABASE_URL chooses PostgreSQL.
"""

import argparse
from typing import Any

from bench_project import loaded_project, rate, show


class NoSender:
    """Everything is sent at once."""

    def __init__(self, conf: Any) -> None: ...

    def send(self, touch: Any) -> Any:
        from outreach.domain.reservation import SENT

        return SENT

    def close(self) -> None: ...


def fill(touches: int, inboxes: int) -> None:
    from outreach.models import Attempt, Touch
    from outreach.services.inboxes import change_inbox
    from outreach.services.intake import Intake, accept_lines

    Attempt.objects.all().delete()
    Touch.objects.all().delete()
    for number in range(inboxes):
        change_inbox(f"i{number}@example.com", {"per_minute": 100_000})
    line = '{"inbox":"i%d@example.com","recipient":"r%d@example.com","subject":"Hi","body":"Hello"}'
    lines = [(line % (number % inboxes, number)).encode() for number in range(touches)]
    import time

    accept_lines(Intake.connect(time.time), lines, print)


def ours(touches: int, concurrency: int) -> int:
    from avo_project.runtime.stop_flag import StopFlag
    from outreach.services.process import make_worker

    worker = make_worker("bench", concurrency, 60.0)
    worker.run(StopFlag(), stop_when_idle=True)
    assert worker.counters["sent"] == touches, str(worker.counters)
    return touches


def floor(touches: int, batch: int) -> int:
    from django.db import connection, transaction

    from outreach.models import Touch

    ids = [one.hex for one in Touch.objects.values_list("pk", flat=True)]
    inbox_id = Touch.objects.values_list("inbox_id", flat=True).first()
    insert = (
        "INSERT INTO outreach_attempt (touch_id, inbox_id, outcome, code, detail, worker, started_at, finished_at) "
        "VALUES (%s, %s, 'sent', 0, '', 'w', '2026-01-01', '2026-01-01')"
    )
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        places = ",".join(["%s"] * len(part))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE outreach_touch SET status='sending', token=1 WHERE id IN ({places})", part)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(insert, [(one, inbox_id) for one in part])
            cursor.execute(f"UPDATE outreach_touch SET status='sent' WHERE id IN ({places}) AND token=1", part)
    return touches


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--touches", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    with loaded_project():
        from django.conf import settings

        settings.OUTREACH = {**settings.OUTREACH, "SENDERS": {"email": f"{__name__}.NoSender"}}
        mine, floors = [], []
        for _ in range(options.rounds):
            fill(options.touches, 100)
            mine.append(rate(lambda: ours(options.touches, options.concurrency)))
            floors.append(rate(lambda: floor(options.touches, options.concurrency)))
        show(f"worker with ledger, {options.concurrency} at a time", mine, floors, "/s", ">= 1,500/s")


if __name__ == "__main__":
    main()

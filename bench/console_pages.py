"""Every page of the console over a full system: 209,033 states, 100,000 touches in 10,000 inboxes, 50,000 entries and
20,000 active subjects. Time of the page and of a refresh in one process, and the Redis commands of a refresh."""

import os
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench_project import loaded_project
from regime_setup import RUNS, fill

TOUCHES = int(os.environ.get("TOUCHES", "100000"))
INBOXES = TOUCHES // 10
ENTRIES = TOUCHES // 2
SUBJECTS = TOUCHES // 5
PAGES = {
    "home": ("/admin/", "/admin/console/live.json"),
    "regime": ("/admin/regime/regimecache/", "/admin/regime/regimecache/live.json"),
    "signals": ("/admin/signals_app/livestream/", "/admin/signals_app/livestream/live.json"),
    "outreach": ("/admin/outreach/outreachqueue/", "/admin/outreach/outreachqueue/live.json"),
    "throttling": ("/admin/throttling/ratelimits/", "/admin/throttling/ratelimits/live.json"),
}
TABLES = {
    "touches": "/admin/outreach/touch/",
    "of an inbox": "/admin/outreach/touch/?q=inbox7@example.com",
    "inboxes": "/admin/outreach/inbox/",
    "audit": "/admin/avo_project/operatoraction/",
    "why, inbox": "/admin/console/explain/?of=inbox7@example.com",
    "why, subject": "/admin/console/explain/?of=user:user_7",
}


def main() -> None:
    with loaded_project():
        fill_system()
        from django.contrib.auth import get_user_model
        from django.test import Client
        from django_redis import get_redis_connection

        from avo_project.observability.sampler import Sampler

        browser = Client(SERVER_NAME="localhost")
        browser.force_login(get_user_model().objects.create_superuser("operator"))
        started = time.perf_counter()
        Sampler.of().step(0.0)
        print(f"one sample of all roles: {1000 * (time.perf_counter() - started):.0f} ms")
        print(f"{'page':12}{'first ms':>10}{'page ms':>10}{'refresh ms':>12}{'commands':>10}   target: < 300 ms, <= 20")
        for name, (page, live) in PAGES.items():
            first = milliseconds(lambda: browser.get(page))
            whole = statistics.median(milliseconds(lambda: browser.get(page)) for _ in range(RUNS))
            again = statistics.median(milliseconds(lambda: browser.get(live)) for _ in range(RUNS))
            count = commands(get_redis_connection("default"), lambda: browser.get(live))
            print(f"{name:12}{first:>10.0f}{whole:>10.0f}{again:>12.0f}{count:>10}")
        for name, page in TABLES.items():
            first = milliseconds(lambda: browser.get(page))
            whole = statistics.median(milliseconds(lambda: browser.get(page)) for _ in range(RUNS))
            print(f"{name:12}{first:>10.0f}{whole:>10.0f}")


def milliseconds(what: Callable[[], Any]) -> float:
    started = time.perf_counter()
    answer = what()
    assert answer.status_code == 200, answer.status_code
    return 1000 * (time.perf_counter() - started)


def commands(redis: Any, what: Callable[[], Any]) -> int:
    redis.config_resetstat()
    what()
    counted = {name: held["calls"] for name, held in redis.info("commandstats").items()}
    return sum(calls for name, calls in counted.items() if name not in ("cmdstat_config|resetstat", "cmdstat_info"))


def fill_system() -> None:
    from django.core.management import call_command
    from django.utils import timezone
    from django_redis import get_redis_connection

    from outreach import keys
    from outreach.models import Inbox, Touch
    from throttling.store.usage_stats import UsageStats

    redis = get_redis_connection("default")
    fill(redis)
    call_command("refresh_regime_collection")
    inboxes = Inbox.objects.bulk_create(
        [Inbox(address=f"inbox{n}@example.com", per_minute=1 + n % 5, paused=n % 50 == 0) for n in range(INBOXES)]
    )
    now = timezone.now()
    touches = [
        Touch(id=uuid.uuid4(), inbox=inboxes[n % INBOXES], recipient=f"r{n}@example.org", body="b", created_at=now)
        for n in range(TOUCHES)
    ]
    Touch.objects.bulk_create(touches, batch_size=1000)
    pipeline = redis.pipeline(transaction=False)
    for n, touch in enumerate(touches):
        pipeline.rpush(keys.lane(touch.inbox_id), str(touch.pk))
        pipeline.zadd(keys.READY, {str(touch.inbox_id): int(time.time() * 1000) + 60_000})
        if n % 5000 == 4999:
            pipeline.execute()
    pipeline.set(keys.INITIALISED, 1)
    redis.xgroup_create("signals:live", "apex-group", "0", mkstream=True)
    for n in range(ENTRIES):
        fields = {"signal_id": str(uuid.uuid4()), "symbol": f"SYM{n:06}", "direction": "long", "confidence": "0.5"}
        pipeline.xadd("signals:live", fields)
    pipeline.execute()
    redis.xreadgroup("apex-group", "one", {"signals:live": ">"}, count=ENTRIES // 2)
    asked = {("free", f"user:user_{n}"): 1 + n % 7 for n in range(SUBJECTS)}
    UsageStats.connect().add(asked, dict.fromkeys(list(asked)[:1000], 1), time.time())


if __name__ == "__main__":
    main()

"""One read through StateCache beside PING, HGETALL by redis-py, and the reader's percentiles at rest."""

import random
import time

from bench_project import loaded_project, print_beside
from regime_setup import STATES, fill, reading


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        from regime.store.state_cache import StateCache

        client = get_redis_connection("regime")
        fill(client)
        states, dice, now = StateCache.connect(), random.Random(3), time.time()

        def symbol() -> str:
            return f"SYM{dice.randrange(STATES):06}"

        def read_and_classify() -> None:
            state = states.get(symbol())
            assert state is not None
            assert state.classify(now).is_current

        calls = {
            "PING": client.ping,
            "HGETALL of redis-py": lambda: client.hgetall(f"argus:regime:{symbol()}"),
            "get with expiry, decoded and classified": read_and_classify,
        }
        print_beside("PING", calls, 3_000, {"get with expiry, decoded and classified": "p50 <= 1.25 x, p99 < 1 ms"})
        with reading() as rest:
            time.sleep(5)
        print(f"1,000 reads/s at rest: p50 {rest['p50']:.0f}, p99 {rest['p99']:.0f}, p99.9 {rest['p99.9']:.0f} µs")


if __name__ == "__main__":
    main()

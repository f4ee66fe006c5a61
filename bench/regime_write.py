"""A full write of 209,033 states beside redis-cli --pipe of ready-made RESP, and readers beside the write."""

import io
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_project import loaded_project, redis_socket
from regime_setup import RUNS, STATES, reading, seconds_of, universe

CLOCK_WATCHER = """
import time
last, longest = time.perf_counter(), 0.0
end = last + 10
while last < end:
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
print(1000 * longest)
"""


def main() -> None:
    with redis_socket() as idle_server, loaded_project() as socket:
        from django.core.management import call_command
        from django_redis import get_redis_connection

        from regime.services.cycle import Cycle
        from regime.store.state_cache import StateCache

        client = get_redis_connection("regime")
        client.config_set("slowlog-log-slower-than", 5_000)
        states = universe(int(time.time()))
        ready = socket.parent / "ready.resp"
        make_ready(ready, states)
        floors, ours, cycles, rests, beside, elsewhere = [], [], [], [], [], []
        floors_used, ours_used = [], []
        for _ in range(RUNS):
            client.flushall()
            used = server_seconds(client)
            floors.append(seconds_of(lambda: pipe(socket, ready)))
            floors_used.append(server_seconds(client) - used)
            client.flushall()
            client.slowlog_reset()
            used = server_seconds(client)
            ours.append(seconds_of(lambda: [None for _ in StateCache.connect().put_many(states)]))
            ours_used.append(server_seconds(client) - used)
            call_command("refresh_regime_collection", stdout=io.StringIO())  # a cycle adds to what is published
            with reading() as rest:
                time.sleep(4)
            with reading() as reader:
                cycles.append(seconds_of(lambda: Cycle.connect(time.time).write(states)))
            with reading(idle_server) as other:
                Cycle.connect(time.time).write(states)
            rests.append(rest["p99"])
            beside.append(reader["p99"])
            elsewhere.append(other["p99"])
            print(f"  rest {rest}\n  beside a cycle {reader}\n  of an idle server beside it {other}", flush=True)
        compare("write of all states", floors, ours, "<= 2.2")
        compare("processor time of the server for it", floors_used, ours_used, "<= 2.2")
        compare("whole cycle, collection and dominance log too, with a reader", floors, cycles, "none")
        print(f"reader p99 beside a cycle: {by_rest(beside, rests)} (target <= 1.5)")
        print(f"reader p99 beside a cycle, of another server that is idle: {by_rest(elsewhere, rests)}")
        print(f"longest call of the server: {longest_call(client)} (target < 5 ms)")
        print(f"longest pause of two processes that only look at the clock: {longest_pause():.1f} ms")
        print(f"memory a state: {client.memory_usage('argus:regime:SYM000001', samples=0)} bytes")


def make_ready(file: Path, states: list[Any]) -> None:
    from avo_project.redis_client.persistent_connection import pack
    from regime.domain.state import FIELDS, encode_scores

    with file.open("wb") as out:
        for state in states:
            texts = encode_scores(state.scores).split(b",")
            pairs = [part for pair in zip(FIELDS, texts, strict=True) for part in pair]
            out.write(pack("HSET", f"argus:regime:{state.symbol}", "computed_at", int(state.computed_at), *pairs))


def pipe(socket: Path, ready: Path) -> None:
    with ready.open("rb") as stream:
        command = ["redis-cli", "-s", str(socket), "--pipe"]
        subprocess.run(command, stdin=stream, stdout=subprocess.DEVNULL, check=True)


def server_seconds(client: Any) -> float:
    """The processor time that the server has used: what a busy machine changes least."""
    used = client.info("cpu")
    return float(used["used_cpu_sys"] + used["used_cpu_user"])


def by_rest(beside: list[float], rests: list[float]) -> str:
    ratio = statistics.median(busy / rest for busy, rest in zip(beside, rests, strict=True))
    return f"{ratio:.2f} x rest ({statistics.median(beside):.0f} of {statistics.median(rests):.0f} µs)"


def longest_call(client: Any) -> str:
    slow = client.slowlog_get(128)  # calls over 5 ms, as set at the start
    if not slow:
        return "under 5 ms"
    slowest = max(slow, key=lambda call: call["duration"])
    return f"{slowest['duration'] / 1000:.1f} ms: {slowest['command'][:60].decode(errors='replace')}"


def longest_pause() -> float:
    """In ms, of 10 s: what the machine takes from a server, too, in the middle of a call."""
    watchers = [subprocess.Popen([sys.executable, "-c", CLOCK_WATCHER], stdout=subprocess.PIPE) for _ in range(2)]
    return max(float(watcher.communicate()[0]) for watcher in watchers)


def compare(what: str, floors: list[float], ours: list[float], target: str) -> None:
    ratio = statistics.median(own / floor for own, floor in zip(ours, floors, strict=True))
    floor, own = statistics.median(floors), statistics.median(ours)
    print(f"{what} ({STATES:,}): floor {floor:.2f} s, ours {own:.2f} s, ours/floor {ratio:.2f} (target {target})")


if __name__ == "__main__":
    main()

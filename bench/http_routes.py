"""API routes beside a trivial DRF view under the same middleware: where a request's time goes.

First in this process, a call at a time. Then through the server that deployments run: two workers, eight connections
that are kept, ``wrk`` as the client; the processor time is that of all the server's processes, Redis's is not in it.
"""

import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from bench_project import ROOT, RUNS, loaded_project, print_beside

ROUNDS = 1_000
SECONDS = 5  # of each route in each run through the server
TARGET = "authentication + throttle + one regime"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def main() -> None:
    from tests.throttling.clerk import ISSUER, KEY, token

    os.environ["DJANGO_SETTINGS_MODULE"] = "bench_settings"
    rates = "anonymous=1000000000/min;free=1000000000/min;pro=1000000000/min,1000000000/day"
    with loaded_project(CLERK_ISSUER=ISSUER, CLERK_JWT_KEY=KEY.pem, THROTTLE_RATES=rates, AVO_TEST_REDIS="debian"):
        write_states()
        bearer = f"Bearer {token(plan='u:pro', exp=int(time.time()) + 3600)}"
        in_this_process(bearer)
        through_the_server(bearer)


def in_this_process(bearer: str) -> None:
    from django.core.handlers.wsgi import WSGIHandler

    handler, signed_in = WSGIHandler(), {"HTTP_AUTHORIZATION": bearer}
    calls = {
        "trivial": request(handler, "/bench/trivial"),
        "plain Django view": request(handler, "/bench/plain"),
        "authentication": request(handler, "/bench/authenticated", **signed_in),
        "authentication + throttle": request(handler, "/bench/limited", **signed_in),
        "DRF's UserRateThrottle alone": request(handler, "/bench/drf"),
        "one regime, neither authentication nor throttle": request(handler, "/bench/regime/AAPL"),
        TARGET: request(handler, "/api/intelligence/regime/AAPL", **signed_in),
        "one regime for an anonymous caller": request(handler, "/api/intelligence/regime/AAPL"),
    }
    print_beside("trivial", calls, ROUNDS, {TARGET: "<= 2.5"})


def through_the_server(bearer: str) -> None:
    """Rows take turns in each run. Ratios are to the trivial view of the same run."""
    if shutil.which("wrk") is None:
        sys.exit("The rows through the server need wrk: apt-get install wrk.")
    signed_in = f"Authorization: {bearer}"
    rows = {
        "trivial": ("/bench/trivial", ""),
        "/livez": ("/livez", ""),
        "plain Django view": ("/bench/plain", ""),
        "authentication + throttle": ("/bench/limited", signed_in),
        TARGET: ("/api/intelligence/regime/AAPL", signed_in),
        "one regime for an anonymous caller": ("/api/intelligence/regime/AAPL", ""),
    }
    with server() as (base, pid):
        runs = [{name: load(base, pid, *row) for name, row in rows.items()} for _ in range(RUNS)]
    print(f"through the server, {SECONDS} s a row and run:")
    for name in rows:
        rate, used = (statistics.median(run[name][at] for run in runs) for at in (0, 1))
        ratio, ratio_used = (statistics.median(run[name][at] / run["trivial"][at] for run in runs) for at in (0, 1))
        print(
            f"{name:<48} {rate:7,.0f} req/s  processor {used:6.0f} µs a request"
            f"  {ratio:5.2f} x trivial, {ratio_used:5.2f} x its processor time"
        )


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """(its address, its process id) of the server, on a port that is free now."""
    from tests.end_to_end.system import free_port

    port = free_port()
    environment = os.environ | {"WEB_CONCURRENCY": "2", "PYTHONPATH": f"{Path(__file__).parent}:{ROOT}"}
    command = [sys.executable, "-m", "avo_project.web_server"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment | {"PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 30
        while not answers(f"{base}/bench/plain"):
            if time.monotonic() > until:
                sys.exit("the server did not answer within 30 s")
            time.sleep(0.1)
        yield base, process.pid
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def load(base: str, pid: int, route: str, header: str) -> tuple[float, float]:
    """(requests a second, the server's processor time a request in µs)."""
    before = processor_seconds(pid)
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", *(["-H", header] if header else []), f"{base}{route}"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = processor_seconds(pid) - before
    if "Non-2xx" in report or "Socket errors" in report:
        sys.exit(f"{route}: {report}")
    done, rate = re.search(r"(\d+) requests in", report), re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert done is not None, report
    assert rate is not None, report
    return float(rate[1]), used / int(done[1]) * 1e6


def processor_seconds(pid: int) -> float:
    """User and system time of a process and of all that it started, which live through the bench (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND + sum(
        processor_seconds(int(child)) for child in children
    )


def write_states() -> None:
    from django_redis import get_redis_connection

    from regime.domain.state import REGIMES, TIMEFRAMES

    client, now = get_redis_connection("regime"), int(time.time())
    scores = {
        f"{regime}:{timeframe}": f"0.{place}3" for place, regime in enumerate(REGIMES, 1) for timeframe in TIMEFRAMES
    }
    client.hset("argus:regime:AAPL", mapping={**scores, "computed_at": now})
    client.expire("argus:regime:AAPL", 86_000)


def request(handler: Any, route: str, **headers: str) -> Callable[[], None]:
    """A call that sends GET ``route`` through all of Django and reads the answer."""

    def call() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": route,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "localhost",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            **headers,
        }
        status: list[str] = []
        response = handler(environ, lambda line, fields: status.append(line))
        b"".join(response)
        response.close()
        assert status == ["200 OK"], (route, status)

    call()
    return call


if __name__ == "__main__":
    main()

"""What one run of a command costs, for cron and probes: processor time (median of RUNS) and peak memory, beside the
floor of the same run: an interpreter that imports Django and redis-py and does nothing with them."""

import os
import shutil
import statistics
import subprocess
import sys

from bench_project import ROOT, RUNS, redis_socket

FLOOR = "import django.core.management, django.db.models, django_redis.client, prometheus_client"
COMMANDS = (
    "help",
    "signal_lag --json",
    "signal_groups",
    "derive_signals",
    "outreach_forecast --json",
    "reconcile_outreach --json",
    "backfill_regime_ttl --json",
    "consume_signals --stop-when-idle",
    "outreach_worker --stop-when-idle",
    "check",
)


def cost(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor seconds and peak MB of one run; its output goes nowhere."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6


def main() -> None:
    with redis_socket() as socket:
        data = socket.parent / "data"
        environment = {**os.environ, "AVO_DATA_DIR": str(data), "REDIS_URL": f"unix://{socket}"}
        manage = [sys.executable, "manage.py"]
        cost([*manage, "migrate"], environment)
        print(f"{'command':36}{'processor s':>12}{'peak MB':>10}   {os.cpu_count()} cores, {RUNS} runs each")
        runs = {"(floor)": [sys.executable, "-c", FLOOR]} | {name: [*manage, *name.split()] for name in COMMANDS}
        for name, command in runs.items():
            costs = [cost(command, environment) for _ in range(RUNS)]
            seconds, megabytes = (statistics.median(figures) for figures in zip(*costs, strict=True))
            print(f"{name:36}{seconds:12.2f}{megabytes:10.0f}", flush=True)
        shutil.rmtree(data)


if __name__ == "__main__":
    main()

"""How long a killed consumer's entries wait until another has handled them, beside the claim time they have to wait."""

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_project import ROOT, RUNS, loaded_project
from signals_setup import events

CLAIM_IDLE_MS = 2_000
SLEEPER = "import time\ndef handle(event): time.sleep(60)\n"


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        from signals_app.services.publisher import Publisher

        client = get_redis_connection("signals")
        Path(os.environ["AVO_DATA_DIR"], "sleeper.py").write_text(SLEEPER)
        waits = []
        for _ in range(RUNS):
            Publisher.connect(time.sleep).publish_batch(events(10))
            waits.append(recovery_seconds(client))
        longest, median = max(waits), statistics.median(waits)
        claim = CLAIM_IDLE_MS / 1_000
        print(f"recovery after kill -9: claim time {claim} s, median {median:.1f} s, longest {longest:.1f} s", end=" ")
        print(f"(target at most {claim + 5} s)")


def recovery_seconds(client: object) -> float:
    victim = start("--handler", "sleeper.handle")
    wait_for(client, lambda pending: pending == 10)
    heir = start("--claim-idle-ms", str(CLAIM_IDLE_MS))
    time.sleep(2)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    killed_at = time.perf_counter()
    wait_for(client, lambda pending: pending == 0)
    seconds = time.perf_counter() - killed_at
    heir.terminate()
    heir.wait()
    return seconds


def start(*options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "manage.py", "consume_signals", *options]
    environment = os.environ | {"PYTHONPATH": os.environ["AVO_DATA_DIR"]}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(client: object, is_there: object) -> None:
    while not is_there(client.xpending("signals:live", "apex-group")["pending"]):  # type: ignore[operator, attr-defined]
        time.sleep(0.01)


if __name__ == "__main__":
    main()

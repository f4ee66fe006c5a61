"""Writers that are killed: run as a program, it forks one after the other, kills each with -9 at a random moment while
it writes cycle after cycle, and prints what that left behind as one line of JSON.

    python -m tests.end_to_end.regime_victims compute|write ROUNDS
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django
from django.core.management import load_command_class

SYMBOLS = 300
SERIES = "".join(f",S{number:03}" for number in range(SYMBOLS))


def main() -> None:
    django.setup()
    command, rounds = sys.argv[1], int(sys.argv[2])
    load_command_class("regime", f"{command}_regimes")  # here and not in each child, which has no time for imports
    dice = random.Random()
    found: dict[str, Any] = {"immortal": 0, "amid_a_cycle": 0}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            kill_one(lambda: write_for_ever(command, Path(folder)), dice.uniform(0.05, 0.4))
            stamps = look(found)
            found["amid_a_cycle"] += len(set(stamps.values())) > 1
        write_once(command, Path(folder))
    found["stamps_after_a_restart"] = len(set(look(found).values()))
    found["symbols"] = len(look(found))
    print(json.dumps(found))


def kill_one(work: Any, seconds: float) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def write_for_ever(command: str, folder: Path) -> None:
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        while True:
            write_once(command, folder)


def write_once(command: str, folder: Path) -> None:
    from django.core.management import call_command

    file = folder / f"{command}-{os.getpid()}"
    if command == "compute":
        closes = "\n".join(f"2026-01-{day:02}" + f",{100 + day % 3}" * SYMBOLS for day in range(1, 25))
        file.write_text(f"date{SERIES}\n{closes}\n")
        call_command("compute_regimes", "--prices", str(file), verbosity=0, stdout=sys.stderr)
    else:
        stamp = round(time.time(), 3)
        file.write_text("\n".join(line(number, stamp) for number in range(SYMBOLS)))
        call_command("write_regimes", str(file), verbosity=0, stdout=sys.stderr)


def line(number: int, stamp: float) -> str:
    scores = {"1mo": {"bull": 0.5, "bear": 0.1}, "2y": {"calm": 0.3}}
    return json.dumps({"symbol": f"S{number:03}", "computed_at": stamp, "scores": scores})


def look(found: dict[str, Any]) -> dict[bytes, bytes]:
    """The stamps of all states; counts those without an expiry."""
    from django_redis import get_redis_connection

    client = get_redis_connection("regime")
    names = list(client.scan_iter("argus:regime:*", count=1000))
    found["immortal"] += sum(client.pttl(name) == -1 for name in names)
    return {name: client.hget(name, "computed_at") for name in names}


if __name__ == "__main__":
    main()

"""Load on a web server by wrk, and what came of each request."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_COUNT_STATUSES = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() statuses = {} end
function response(status) statuses[status] = (statuses[status] or 0) + 1 end
function done(summary, latency)
    local e, parts = summary.errors, {}
    for _, thread in ipairs(threads) do
        for status, count in pairs(thread:get("statuses")) do
            table.insert(parts, string.format("[%d,%d]", status, count))
        end
    end
    io.write(string.format('\\n{"p99_ms":%f,"lost":%d,"statuses":[%s]}\\n', latency:percentile(99) / 1000,
        e.connect + e.read + e.write + e.timeout, table.concat(parts, ",")))
end
"""


@dataclass
class Outcome:
    """``statuses`` are counts of answers, ``lost`` the requests without one, ``p99_ms`` the time of 99 in 100."""

    statuses: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    p99_ms: float = 0.0


@contextmanager
def load(url: str, seconds: int, connections: int = 2) -> Iterator[Outcome]:
    """wrk for ``seconds``; the outcome is filled in at the end of the block, which waits for it."""
    binary = shutil.which("wrk")
    if binary is None:
        outcome = pytest.fail if os.environ.get("CI") else pytest.skip
        outcome("wrk is not on the PATH: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "count.lua"
        script.write_text(_COUNT_STATUSES)
        command = [str(binary), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        result = Outcome()
        try:
            yield result
            output, _ = process.communicate(timeout=seconds + 60)
        finally:
            process.kill()
            process.communicate()
    report = json.loads(re.findall(r"^\{.*\}$", output, re.MULTILINE)[-1])
    result.p99_ms, result.lost = report["p99_ms"], report["lost"]
    for status, count in report["statuses"]:
        result.statuses[status] = result.statuses.get(status, 0) + count

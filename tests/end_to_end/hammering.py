"""Many processes that take all they can of one subject's limit, and what their own logs say they got."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.system import ROOT

_HEAD_START_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Hammering:
    """``log`` has (sent, answered) of every allowed hit; ``hits`` counts the refused ones too."""

    limit: int
    window_seconds: int
    seconds: float
    hits: int
    log: list[tuple[float, float]]

    @property
    def share(self) -> float:
        """The allowed hits, as a share of the limit in each window of the time."""
        return len(self.log) / (self.limit * self.seconds / self.window_seconds)

    @property
    def largest_count(self) -> int:
        """The most hits that surely fell into one window: sent after it began and answered before it ended."""
        return max(
            sum(1 for sent, answered in self.log if start <= sent and answered < start + self.window_seconds)
            for start, _ in self.log
        )

    def __str__(self) -> str:
        allowed = f"{len(self.log)} of {self.hits} hits allowed in {self.seconds} s, {self.share:.1%} of the ideal"
        return f"{allowed}, largest count in {self.window_seconds} s: {self.largest_count} (limit {self.limit})"


def hammer(socket: Path, seconds: float, processes: int = 16, limit: int = 100, window_seconds: int = 2) -> Hammering:
    """``processes`` hammer one subject on the server at ``socket``, all beginning at the same moment."""
    command = [sys.executable, "-m", "tests.end_to_end.throttle_hammer"]
    command += [str(socket), str(seconds), f"{limit}/{window_seconds}s"]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(processes)]
    assert all(process.stdout and process.stdout.readline() == "ready\n" for process in running)
    start_at = time.monotonic() + _HEAD_START_SECONDS
    for process in running:
        assert process.stdin
        print(start_at, file=process.stdin, flush=True)
    outputs = [process.communicate(timeout=seconds + 120)[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    lines = [line.split() for output in outputs for line in output.splitlines()]
    hits = sum(int(line[1]) for line in lines if line[0] == "hits")
    log = sorted((float(sent), float(answered)) for sent, answered in lines if sent != "hits")
    return Hammering(limit, window_seconds, seconds, hits, log)

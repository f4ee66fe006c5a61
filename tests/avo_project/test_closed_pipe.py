"""Commands whose output nobody reads any more, as real processes at a pipe without a reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avo_project.closed_pipe import EXIT_STATUS

PROGRAM = """
import os, sys
from avo_project.closed_pipe import exit_on_closed_pipe
with exit_on_closed_pipe():
    {body}
"""


def run(*command: str, data_dir: Path, both: bool = False) -> tuple[int, str]:
    """Its exit status and what it says on standard error; with ``both`` that goes to the closed pipe too."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "AVO_DATA_DIR": str(data_dir)}
    errors = writer if both else subprocess.PIPE
    done = subprocess.run([sys.executable, *command], env=environment, stdout=writer, stderr=errors, check=False)
    os.close(writer)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        "print('a')",
        "print('a' * 1_000_000)",
        "print('a', flush=True)",
        "print('a'); sys.exit(1)",
        "sys.stdout.buffer.write(b'a')",
    ],
)
def test_it_ends_quietly(body: str, both: bool, tmp_path: Path) -> None:
    assert run("-c", PROGRAM.format(body=body), data_dir=tmp_path, both=both) == (EXIT_STATUS, "")


def test_who_prints_nothing_notices_nothing(tmp_path: Path) -> None:
    assert run("-c", PROGRAM.format(body="sys.exit(3)"), data_dir=tmp_path) == (3, "")


def test_a_broken_pipe_elsewhere_is_raised(tmp_path: Path) -> None:
    """Standard output is a file here, so that it is none of our readers who has gone."""
    program = PROGRAM.format(body="r, w = os.pipe(); os.close(r); os.write(w, b'a')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "redis_acl", "--sample"),
        ("manage.py", "help"),
        ("-m", "avo_project.embedded_redis", "status", "."),
    ],
    ids=["a command of ours", "one of Django's", "the embedded server's"],
)
def test_every_command_line_of_the_project_does(command: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever a command of ``manage.py`` prints goes through the same place."""
    assert run(*command, data_dir=tmp_path) == (EXIT_STATUS, "")

"""Commands whose output is closed or cannot be written, as real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avo_project.runtime.closed_pipe import EXIT_STATUS

PROGRAM = """
import os, sys
from avo_project.runtime.closed_pipe import exit_on_closed_pipe
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


def redirected(redirection: str, *command: str, data_dir: Path) -> tuple[int, str, str]:
    """A command's exit status, output and errors with one redirection of the shell's."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, *command]
    environment = {**os.environ, "AVO_DATA_DIR": str(data_dir)}
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_output_that_was_closed_at_start_goes_nowhere(redirection: str, tmp_path: Path) -> None:
    program = PROGRAM.format(body="sys.stdout.write('a'); sys.stderr.write('b'); os.dup(0); sys.exit(3)")
    status, output, errors = redirected(redirection, "-c", program, data_dir=tmp_path)
    assert status == 3
    assert output == ("" if ">&- 2" in redirection or redirection == ">&-" else "a")
    assert errors == ("b" if redirection == ">&-" else "")


@pytest.mark.parametrize(
    "body", ["print('a')", "print('a' * 1_000_000)", "sys.stdout.buffer.write(b'a')", "print('a'); sys.exit(3)"]
)
def test_output_that_nothing_can_take_ends_in_one_line(body: str, tmp_path: Path) -> None:
    found = redirected(">/dev/full", "-c", PROGRAM.format(body=body), data_dir=tmp_path)
    assert found == (1, "", "Standard output cannot be written: No space left on device.\n")


def test_a_full_disk_elsewhere_is_raised(tmp_path: Path) -> None:
    program = PROGRAM.format(body="print('a'); os.write(os.open('/dev/full', os.O_WRONLY), b'a')")
    status, output, errors = redirected("", "-c", program, data_dir=tmp_path)
    assert (status, output.rstrip()) == (1, "a")
    assert errors.endswith("OSError: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("redirection", "command", "expected"),
    [
        (">&-", ("manage.py", "redis_acl", "--sample"), (0, "", "")),
        (
            ">/dev/full",
            ("manage.py", "redis_acl", "--sample"),
            (1, "", "Standard output cannot be written: No space left on device.\n"),
        ),
        (
            "<&-",
            ("manage.py", "publish_signals", "-"),
            (
                1,
                "",
                "CommandError: cannot read -: standard input is closed. Name a file, or pipe lines into the command.\n",
            ),
        ),
    ],
)
def test_commands_say_what_they_cannot_use(
    redirection: str, command: tuple[str, ...], expected: tuple[int, str, str], tmp_path: Path
) -> None:
    assert redirected(redirection, *command, data_dir=tmp_path) == expected


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

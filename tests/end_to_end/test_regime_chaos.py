"""Writers killed with -9 at random moments leave no state without an expiry."""

import json
import os
import subprocess
import sys

import pytest

from tests.end_to_end.system import ROOT, data_folder, environment_for

ROUNDS = 100 if os.environ.get("AVO_CHAOS") == "long" else 20


@pytest.mark.parametrize("command", ["compute", "write"])
def test_chaos_a_killed_writer_leaves_no_immortal_state(command: str) -> None:
    with data_folder() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.end_to_end.regime_victims", command, str(ROUNDS)],
            cwd=ROOT,
            env=environment_for(folder),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["immortal"] == 0
    assert (found["symbols"], found["stamps_after_a_restart"]) == (300, 1)
    assert found["amid_a_cycle"] > 0, "no kill hit a writer at work: this test shows nothing"

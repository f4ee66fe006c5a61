"""The tables and examples of docs/keys.md, and what our code makes of the examples."""

import io
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django_redis import get_redis_connection

from regime.domain.freshness import LIFE_SECONDS
from signals_app.models import Execution

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "keys.md").read_text()


def section(heading: str) -> str:
    """The text under a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(heading: str, columns: int) -> list[list[str]]:
    """The cells of every row of so many columns in the tables under a heading."""
    lines = re.findall(r"^\| (.*) \|$", section(heading), re.MULTILINE)
    return [cells for line in lines if len(cells := line.split(" | ")) == columns]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def example(language: str) -> str:
    """The one block of code in that language."""
    [code] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def socket() -> str:
    """Of the Redis that the tests run on."""
    return str(get_redis_connection("regime").connection_pool.connection_kwargs["path"])


def run_example(*command: str, **environment: str) -> None:
    subprocess.run(command, env=os.environ | environment, check=True, timeout=60)


def scores_served(client: Any, symbol: str) -> dict[str, float]:
    """The scores of a state as the API serves it, whose key ends a day after its stamp."""
    answer = client.get(f"/api/intelligence/regime/{symbol}")
    assert answer.status_code == 200, answer.json()
    state = answer.json()
    expiry = get_redis_connection("regime").expiretime(f"argus:regime:{symbol}")
    assert state["expires_at"] == expiry == state["computed_at"] + LIFE_SECONDS
    scores = {f"{regime}:{frame}": score for frame, row in state["scores"].items() for regime, score in row.items()}
    return {name: score for name, score in scores.items() if score is not None}


def execution_of_the_signal() -> Execution:
    """What the consumer made of the one signal that an example published."""
    out = io.StringIO()
    call_command("consume_signals", "--stop-when-idle", "--block-ms", "0", stdout=out)
    assert out.getvalue().splitlines()[-1] == "consumed=1 executed=1 duplicates=0 dead=0 reclaimed=0"
    return Execution.objects.get()

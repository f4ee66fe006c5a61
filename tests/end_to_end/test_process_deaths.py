"""`make run` when its processes are killed: the others go on, the console names the dead, and new ones take over."""

import os
import signal
from pathlib import Path

import httpx

from tests.end_to_end.system import STARTS_WITHIN_SECONDS, System, data_folder, eventually, processes_of, start_system

STREAM_PAGE = "/admin/signals_app/livestream/"


def process_of(folder: Path, word: str) -> int:
    """The process itself, not the shell that keeps it running; 0 when there is none."""
    found = [pid for pid, command in processes_of(folder).items() if word in command and "keep_running" not in command]
    return min(found, default=0)


def consumer_of(system: System) -> str:
    """The name that the first consumer has in its group, empty before it has one."""
    fields = [field.decode().split(" ") for field in system.redis().hkeys("{signals:live}:members")]
    return next((field[1] for field in fields if field[0] == "apex-group" and len(field) == 2), "")


def panel(browser: httpx.Client, title: str) -> str:
    """A panel of the stream's page as it is now."""
    panels = browser.get(f"{STREAM_PAGE}live.json").json()["panels"]
    html: str = next(one["html"] for one in panels if one["title"] == title)
    return html


def test_a_killed_consumer_is_named_and_a_new_one_takes_over() -> None:
    with data_folder() as folder:
        system = start_system(folder)
        try:
            eventually(lambda: system.get("/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            victim = eventually(lambda: process_of(folder, "consume_signals"))
            name = eventually(lambda: consumer_of(system))
            with system.operator() as browser:
                assert "No entries." in panel(browser, "Expired consumers")
                os.kill(victim, signal.SIGKILL)
                assert system.get("/livez").status_code == 200
                page = eventually(
                    lambda: panel(browser, "Expired consumers").partition(f"<td>{name}</td>")[2],
                    STARTS_WITHIN_SECONDS,
                )
                assert "<td>apex-group</td>" in panel(browser, "Expired consumers")
                assert " ago</td>" in page
                heir = eventually(lambda: process_of(folder, "consume_signals"), STARTS_WITHIN_SECONDS)
                assert heir != victim
                eventually(
                    lambda: f"taken over by a new {name}" in panel(browser, "Expired consumers"),
                    STARTS_WITHIN_SECONDS,
                )
                cards = {one["title"]: one["html"] for one in browser.get("/admin/console/live.json").json()["panels"]}
                assert f"{name} expired" in cards["Signal stream"]
            added = system.redis().xadd("signals:live", event())
            eventually(lambda: delivered_and_done(system, added))
            assert system.process.poll() is None
        finally:
            status, output = system.stop()
            print(output)  # shown when something failed
        assert status == 0, output
        assert "consume_signals was killed by signal 9" in output
        assert "starts again in 5 s" in output
        assert processes_of(folder) == {}


def event() -> dict[str, str]:
    return {"signal_id": "7e57ab1e-0000-4000-8000-000000000001", "symbol": "EURUSD=X", "direction": "long",
            "confidence": "0.5"}  # fmt: skip


def delivered_and_done(system: System, entry_id: bytes) -> bool:
    [group] = system.redis().xinfo_groups("signals:live")
    return bool(group["last-delivered-id"] == entry_id and group["pending"] == 0)


def test_a_killed_run_leaves_nothing_behind() -> None:
    with data_folder() as folder:
        system = start_system(folder)
        try:
            eventually(lambda: system.get("/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
        finally:
            system.process.kill()
        eventually(lambda: processes_of(folder) == {})
        system.process.communicate(timeout=30)

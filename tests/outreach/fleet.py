"""Real worker processes with their own data folder and a real mail server."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from avo_project.embedded_redis.server import EmbeddedServer
from outreach import keys
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage
from tests.outreach.mail_sink import MailSink, mail_sink
from tests.outreach.relay import Relay


@dataclass
class Fleet:
    """``start`` starts up to ``size`` workers; those still running at the end are killed."""

    folder: Path
    sink: MailSink | Relay
    size: int = 3
    flags: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        own = {"EMAIL_URL": self.sink.email_url, "LOG_LEVEL": "ERROR"}
        return {**environment_for(self.folder), **own, **self.variables}

    @property
    def log(self) -> Path:
        """What the workers wrote to standard error."""
        return self.folder / "workers.log"

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)

    def redis(self) -> Redis:
        return Redis(unix_socket_path=str(EmbeddedServer(self.folder).socket_path))

    def set_inboxes(self, inboxes: dict[str, dict[str, Any]]) -> None:
        """Sets all inboxes in one process."""
        script = "from outreach.services.inboxes import change_inbox as change\n"
        script += "\n".join(f"change({address!r}, {changes!r})" for address, changes in inboxes.items())
        self.manage("shell", "--no-imports", "-c", script)

    def enqueue(self, inboxes: list[str]) -> None:
        """Queues a touch for each entry of ``inboxes``, which may repeat an address."""
        plain = {"subject": "Hi", "body": "Hello"}
        lines = [
            json.dumps({**plain, "inbox": address, "recipient": f"r{n}@example.com"})
            for n, address in enumerate(inboxes)
        ]
        source = self.folder / "touches.ndjson"
        source.write_text("\n".join(lines))
        assert self.manage("enqueue_touches", str(source)).startswith(f"queued={len(lines)} ")

    def start(self) -> None:
        command = [sys.executable, "manage.py", "outreach_worker", *self.flags]
        with self.log.open("ab") as log:
            while len(self.workers) < self.size:
                self.workers.append(
                    subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log)
                )

    def kill(self, number: int) -> None:
        victim = self.workers.pop(number)
        victim.kill()
        victim.communicate()

    def stop(self) -> list[tuple[int, bytes]]:
        """Sends SIGTERM once all workers have a heartbeat; returns the exit status and output of each."""
        eventually(self.all_at_work)
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        outputs = [worker.communicate(timeout=20)[0] for worker in self.workers]
        return [(worker.returncode, output) for worker, output in zip(self.workers, outputs, strict=True)]

    def all_at_work(self) -> bool:
        seen = {name.decode().rpartition("-")[2] for name in self.redis().zrange(keys.WORKERS, 0, -1)}
        return {str(worker.pid) for worker in self.workers} <= seen

    def statuses(self) -> dict[str, str]:
        """Every touch's state in the ledger."""
        place = f"file:{self.folder / 'db.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=20)) as database:
            rows = database.execute("SELECT id, status FROM outreach_touch").fetchall()
        return {f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}": status for one, status in rows}


@contextmanager
def fleet(*flags: str, size: int = 3, relay: Relay | None = None, **variables: str) -> Iterator[Fleet]:
    """With a mail sink of its own unless there is a ``relay``; ``variables`` are added to the environment."""
    with data_folder() as folder, nullcontext(relay) if relay else mail_sink() as sink:
        made = Fleet(folder, sink, size, flags, variables)
        try:
            yield made
        finally:
            for worker in made.workers:
                if worker.poll() is None:
                    worker.kill()
                    worker.communicate()

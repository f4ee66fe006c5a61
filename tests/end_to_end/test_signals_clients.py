"""Programs that know nothing of ours, beside ours: redis-cli, Node with ioredis, and senders of rubbish."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from avo_project.embedded_redis.server import EmbeddedServer
from tests.avo_project.keys_page import example, execution_of_the_signal, run_example, scores_served, socket
from tests.end_to_end.system import data_folder, environment_for, manage
from tests.signals_app.conftest import fields

IOREDIS = "ioredis@5.8.2"

PRODUCER = """
const redis = new (require('ioredis'))({ path: process.argv[2] });
(async () => {
  for (let n = 0; n < 50; n++) {
    const id = '00000000-0000-0000-0000-' + n.toString(16).padStart(12, '0');
    await redis.xadd('signals:live', '*', 'signal_id', id, 'symbol', 'AAPL', 'direction', 'long',
                     'confidence', '0.75', 'published_at', String(Date.now()), 'desk', 'node');
  }
  redis.disconnect();
})();
"""

CONSUMER = """
const redis = new (require('ioredis'))({ path: process.argv[2] });
(async () => {
  await redis.xgroup('CREATE', 'signals:live', 'node-group', '0', 'MKSTREAM').catch(e => {
    if (!e.message.startsWith('BUSYGROUP')) throw e;
  });
  const seen = [];
  for (;;) {
    const reply = await redis.xreadgroup('GROUP', 'node-group', 'n1', 'COUNT', 20, 'STREAMS', 'signals:live', '>');
    if (!reply) break;
    for (const [id, fields] of reply[0][1]) {
      seen.push(fields[fields.indexOf('signal_id') + 1]);
      await redis.xack('signals:live', 'node-group', id);
    }
  }
  console.log(JSON.stringify(seen));
  redis.disconnect();
})();
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        manage(environment_for(made), "consume_signals", "--stop-when-idle")
        yield made


def socket_of(folder: Path) -> str:
    server = EmbeddedServer(folder)
    server.ensure_running()
    return str(server.socket_path)


def consume(folder: Path, *options: str) -> str:
    return manage(environment_for(folder), "consume_signals", "--stop-when-idle", *options).strip()


def test_entries_added_by_hand_are_executed(folder: Path) -> None:
    redis_cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if redis_cli is None:
        pytest.skip("redis-cli is not on the PATH: apt-get install redis-tools")
    words = [word for pair in fields(1).items() for word in pair]
    subprocess.run([redis_cli, "-s", socket_of(folder), "XADD", "signals:live", "*", *words], check=True)
    assert consume(folder) == "consumed=1 executed=1 duplicates=0 dead=0 reclaimed=0"


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("npm is not on the PATH: apt-get install nodejs npm")
        pytest.skip("npm is not on the PATH")
    place = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(place), IOREDIS]
    subprocess.run(command, check=True, timeout=120)
    return place


def node(place: Path, program: str, socket: str) -> str:
    script = place / "program.js"
    script.write_text(program)
    done = subprocess.run(["node", str(script), socket], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_a_node_producer_and_a_node_consumer_in_a_group_of_its_own(folder: Path, node_modules: Path) -> None:
    socket = socket_of(folder)
    expected = [f"00000000-0000-0000-0000-{number:012x}" for number in range(50)]
    node(node_modules, PRODUCER, socket)
    assert json.loads(node(node_modules, CONSUMER, socket)) == expected
    assert consume(folder) == "consumed=50 executed=50 duplicates=0 dead=0 reclaimed=0"
    assert json.loads(node(node_modules, CONSUMER, socket)) == []
    figures = json.loads(manage(environment_for(folder), "signal_lag", "--json"))
    assert {group["name"]: (group["pending"], group["lag"]) for group in figures["groups"]} == {
        "apex-group": (0, 0),
        "node-group": (0, 0),
    }


@pytest.mark.django_db
def test_the_example_for_node_in_the_keys_page(client: Any, redis_of: Any, node_modules: Path) -> None:
    (node_modules / "example.js").write_text(example("js"))
    run_example("node", str(node_modules / "example.js"), REDIS_URL=socket())
    assert scores_served(client, "ETH/USDT") == {"calm:1w": 0.5, "bull:1mo": 0.25, "bear:1mo": 0.6021}
    made = execution_of_the_signal()
    assert (made.symbol, made.direction, made.confidence) == ("ETH/USDT", "short", 0.6021)


def test_rubbish_ends_in_the_dead_letters_and_the_consumer_goes_on(folder: Path) -> None:
    client = Redis(unix_socket_path=socket_of(folder))
    rubbish = {
        "missing-field: there is no signal_id": {
            name: value for name, value in fields(1).items() if name != "signal_id"
        },
        "bad-signal-id": fields(2, signal_id="2"),
        "bad-direction": fields(3, direction="sideways"),
        "bad-confidence: 'NaN'": fields(4, confidence="NaN"),
        "too-large": fields(5, note="x" * 2**20),
        "not-utf8": fields(6) | {"note": b"\xff\xfe"},
        "too-many-fields": fields(7, **{f"f{number}": "" for number in range(5_000)}),
        "bad-symbol": fields(8, symbol="\n"),
    }
    for bad in rubbish.values():
        client.xadd("signals:live", bad)  # type: ignore[arg-type]
    client.xadd("signals:live", fields(9))  # type: ignore[arg-type]
    assert consume(folder) == "consumed=9 executed=1 duplicates=0 dead=8 reclaimed=0"
    letters = [letter for _, letter in client.xrange("{signals:live}:dead")]
    for reason, letter in zip(rubbish, letters, strict=True):
        assert letter[b"dead_reason"].decode().startswith(reason)
    assert len(letters[4][b"note"]) == 2**20, "nothing of it is lost"
    assert client.xpending("signals:live", "apex-group")["pending"] == 0

"""The whole system with a Redis user per role: nothing it does is refused."""

import json
import uuid
from pathlib import Path
from typing import Any

from tests.avo_project.acl_server import acl_server, binaries
from tests.end_to_end.system import data_folder, environment_for, manage
from tests.end_to_end.throttled_web import web

_STATE = {"symbol": "ACL", "computed_at": 0, "scores": {"1mo": {"bull": 0.9, "bear": 0.1}}}
_TOUCH = {"inbox": "desk@example.org", "recipient": "bob@example.org", "subject": "Hello", "body": "…"}
_BROKEN_EVENT = """
from django_redis import get_redis_connection
get_redis_connection("signals").xadd("signals:live", {"no": "event"})
"""
_OPERATOR = """
from signals_app.services import inspection, operations
inspection.summary()
inspection.pending("again", after="0-0", count=10)
operations.trim()
operations.forget_group("again")
"""


def written(folder: Path, name: str, *rows: dict[str, Any]) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_every_role_can_do_its_work_as_its_own_user() -> None:
    with data_folder() as folder, acl_server(binaries()[0]) as server:
        environment = environment_for(folder) | server.urls
        event = {"signal_id": str(uuid.uuid4()), "symbol": "ACL", "direction": "long", "confidence": 0.5}
        manage(environment, "load_sample_data", "--port", "0")
        for command in (
            ("write_regimes", written(folder, "states", _STATE | {"computed_at": int(server.admin().time()[0])})),
            ("backfill_regime_ttl",),
            ("refresh_regime_collection",),
            ("derive_signals",),
            ("publish_signals", written(folder, "events", event)),
            ("consume_signals", "--stop-when-idle"),
            ("signal_lag", "--json"),
            ("signal_groups",),
            ("shell", "--no-imports", "-c", _BROKEN_EVENT),
            ("consume_signals", "--stop-when-idle"),
            ("signal_dead_letters", "--redrive"),
            ("consume_signals", "--ordered", "--stop-when-idle"),
            ("signal_dead_letters", "--remove"),
            ("replay_signals", "--from", "0-1", "--to", "9999999999999-0", "--group", "again"),
            ("consume_signals", "--group", "again", "--stop-when-idle"),
            ("shell", "--no-imports", "-c", _OPERATOR),
            ("explain", "ACL"),
            ("check_regime_state", "argus:regime:ACL"),
            ("set_inbox", "desk@example.org"),
            ("enqueue_touches", written(folder, "touches", _TOUCH)),
            ("outreach_worker", "--stop-when-idle"),
            ("reconcile_outreach", "--json"),
            ("outreach_forecast", "--json"),
        ):
            manage(environment, *command)
        with web(folder, workers=1, **server.urls) as running:
            for path in ("intelligence/regime/ACL", "intelligence/regime", "macro", "signals", "limits"):
                assert running.get(f"/api/{path}").status_code in {200, 401}, path
            assert running.get("/readyz").status_code == 200
            assert running.metric("avo_redis_up") == 5
            assert running.metric("avo_role_up") == 5
        # The worker asks for the eviction policy and does without it.
        assert {refused for refused in server.refusals() if "config|get" not in refused} == set()

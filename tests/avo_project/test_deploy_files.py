"""Commands, variables, folders and users in the deployment files exist."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def words(command: str | list[str]) -> list[str]:
    return command.split() if isinstance(command, str) else command


def started() -> list[list[str]]:
    """What is run after ``manage.py``: by compose and by the units."""
    lines = [words(service.get("command", [])) for service in compose()["services"].values()]
    lines += [
        line.split() for unit in UNITS for line in re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    ]
    return [line[line.index("manage.py") + 1 :] for line in lines if "manage.py" in line]


def test_every_command_takes_its_arguments() -> None:
    assert len(started()) >= 10
    for name, *arguments in started():
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command for name, _, command in (line.partition(": ") for line in lines)}


def unit_of(process: str) -> str:
    [unit] = [unit for unit in UNITS if unit.stem.rstrip("@") == f"avo-{process}"]
    return unit.read_text()


def test_every_process_of_the_procfile_is_deployed_both_ways() -> None:
    assert set(procfile()) <= set(compose()["services"])
    target = (DEPLOY / "systemd" / "avo.target").read_text()
    for process, command in procfile().items():
        assert f"avo-{process}" in target
        if "manage.py" in command:
            _, _, arguments = command.partition("manage.py ")
            assert " ".join(compose()["services"][process]["command"]).endswith(f"manage.py {arguments}")
            assert f"manage.py {arguments}" in unit_of(process)


def test_the_page_names_every_process_that_keeps_running() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("\n## Processes\n")[2].partition("\n\n`make run`")[0]
    running = {
        name
        for name, service in compose()["services"].items()
        if (service["image"], service["restart"]) == ("avo", "unless-stopped")
    }
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == running
    assert running == {unit.stem.rstrip("@").removeprefix("avo-") for unit in UNITS} - {"migrate"}


def test_the_demo_is_the_procfile_and_its_source_of_signals() -> None:
    rest = (ROOT / "Procfile.demo").read_text().removeprefix((ROOT / "Procfile").read_text())
    assert rest.startswith("demo: bin/keep_running python manage.py publish_demo_signals ")
    assert "demo" not in procfile()
    assert "demo" not in compose()["services"]


def test_every_process_is_started_again_when_it_dies() -> None:
    common = (DEPLOY / "systemd" / "avo-.service.d" / "common.conf").read_text()
    assert "\nRestart=on-failure\n" in common
    for process, command in procfile().items():
        assert command.startswith("bin/keep_running "), process
        assert compose()["services"][process]["restart"] == "unless-stopped", process
        assert "Restart=" not in unit_of(process), process


def documented_variables() -> set[str]:
    """The variables in the first column of the Environment table."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("\n## Environment\n")[2].partition("\n\n## ")[0]
    rows = re.findall(r"^\| (`[A-Z].*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z_]+)`", row)}


# Each role has a server of its own, and the image decides the folder and the port.
NOT_FOR_CONTAINERS = {"REDIS_URL", "AVO_REDIS_SERVER", "AVO_DATA_DIR", "DJANGO_DEBUG", "PORT"}


def test_every_documented_variable_reaches_the_containers() -> None:
    given = set(compose()["x-app"]["environment"])
    commands, web = set(compose()["x-command"]["environment"]), set(compose()["services"]["web"]["environment"])
    assert given | commands | web == {
        *documented_variables() - NOT_FOR_CONTAINERS,
        *(name for name in given if name.startswith("OTEL_")),
    }
    assert commands - given == {"METRICS_LISTEN"}
    assert web - given == {"WEB_CONCURRENCY"}


def test_every_required_variable_is_in_the_sample() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    sample = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "env.sample").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+):\?\}", text)) <= sample
    passed_on = {name for name, value in compose()["x-app"]["environment"].items() if value is None}
    assert sample <= passed_on | set(re.findall(r"\$\{([A-Z_]+)\b", text))


def test_each_role_has_a_user_and_a_fitting_server() -> None:
    services, environment = compose()["services"], compose()["x-app"]["environment"]
    assert "noeviction" in services["redis-queues"]["command"]
    assert "--appendonly yes" in services["redis-queues"]["command"]
    for role in ("SIGNALS", "OUTREACH"):
        assert f"redis://{role.lower()}:" in environment[f"{role}_REDIS_URL"]
        assert "@redis-queues:" in environment[f"{role}_REDIS_URL"]
    for role in ("CACHE", "REGIME", "THROTTLING"):
        assert "@redis-cache:" in environment[f"{role}_REDIS_URL"]
    assert "--maxmemory-policy volatile-ttl" in services["redis-cache"]["command"], "allkeys would evict the collection"
    assert "redis:7.2" in services["redis-queues"]["image"]


def test_the_image_holds_the_packages_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.rpartition("\nFROM ")[2]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for name in (*packages, "manage.py"):
        assert re.search(rf"COPY .*\b{re.escape(name)}\b", final), name
        assert f"!{name}" in ignored
    assert re.search(r"^USER (?!0|root)", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "pip install" not in final


def foreign_images() -> dict[str, str]:
    """Variable to image: what the files pull when the variable is not set."""
    text = (DEPLOY / "Dockerfile").read_text()
    stages = {"scratch", *re.findall(r"^FROM \S+ AS (\w+)", text, re.MULTILINE)}
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - stages == {"${PYTHON_IMAGE}"}
    found = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.MULTILINE))
    images = [service["image"] for service in compose()["services"].values() if service["image"] != "avo"]
    images.append(compose()["services"]["redis-users"]["build"]["args"]["PYTHON_IMAGE"])
    for image in images:
        variable = re.fullmatch(r"\$\{(\w+_IMAGE):-(\S+)\}", image)
        assert variable, image
        assert found.setdefault(variable[1], variable[2]) == variable[2]
    return found


def test_every_foreign_image_has_a_version_and_a_variable_for_its_digest() -> None:
    assert foreign_images().keys() == {"PYTHON_IMAGE", "REDIS_IMAGE", "POSTGRES_IMAGE"}
    for variable, image in foreign_images().items():
        assert re.fullmatch(r"\w+:\d[\w.-]+", image), image
        assert f"\n{variable}={image}\n" in (DEPLOY / "env.sample").read_text()


class TestPinImages:
    """``bin/pin_images`` with a docker that answers as a registry would."""

    @pytest.fixture
    def variables(self, tmp_path: Path) -> Path:
        path = tmp_path / ".env"
        path.write_text(
            "SECRET=a b\\n#c\nPYTHON_IMAGE=python:3.14\nREDIS_IMAGE=redis:7.2@sha256:old\nNO_IMAGE=\nLAST=1"
        )
        path.chmod(0o600)
        return path

    def pin(self, variables: Path, digest: str) -> subprocess.CompletedProcess[str]:
        docker = variables.parent / "docker"
        docker.write_text(f'#!/bin/sh\n[ "$1 $2" = "buildx imagetools" ] && echo "{digest}"\n')
        docker.chmod(0o755)
        command = [ROOT / "bin" / "pin_images", variables]
        environment = {**os.environ, "PATH": f"{variables.parent}:{os.environ['PATH']}"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def test_it_puts_the_digest_behind_each_tag_and_touches_nothing_else(self, variables: Path) -> None:
        digest = "sha256:" + "0123456789abcdef" * 4
        done = self.pin(variables, digest)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"PYTHON_IMAGE=python:3.14@{digest}\nREDIS_IMAGE=redis:7.2@{digest}\n"
        assert variables.read_text() == f"SECRET=a b\\n#c\n{done.stdout}NO_IMAGE=\nLAST=1\n"
        assert variables.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("answer", ["", "unauthorized", "sha256:0123"])
    def test_without_every_digest_nothing_changes(self, variables: Path, answer: str) -> None:
        before = variables.read_text()
        done = self.pin(variables, answer)
        assert done.returncode == 1
        assert "python:3.14" in done.stderr
        assert variables.read_text() == before
        assert {path.name for path in variables.parent.iterdir()} == {".env", "docker"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """The programs need not be installed in /srv for that: those of this environment stand in for them."""
    shutil.copytree(DEPLOY / "systemd", tmp_path, dirs_exist_ok=True)
    units = [*tmp_path.glob("*.service"), tmp_path / "avo.target"]
    for unit in units:
        unit.write_text(unit.read_text().replace("/srv/avo/.venv/bin", str(Path(sys.executable).parent)))
    verify = ["systemd-analyze", "verify", *map(str, units)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_unit_is_hardened_by_the_common_part() -> None:
    common = (DEPLOY / "systemd" / "avo-.service.d" / "common.conf").read_text()
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "User=avo"):
        assert setting in common
    assert all(unit.name.startswith("avo-") for unit in UNITS)

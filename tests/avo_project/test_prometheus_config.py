"""The Prometheus samples scrape every process that the deployment samples start."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
WITHOUT_FIGURES = {"migrate", "redis-users"}  # they end before anything is scraped


def scraped(sample: str) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / sample).read_text())["scrape_configs"]
    return jobs


def test_every_replica_of_every_container_is_found_by_dns() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ports = {}
    for name, service in compose["services"].items():
        if service["image"] == "avo" and name not in WITHOUT_FIGURES:
            listens = service["environment"].get("METRICS_LISTEN", "0.0.0.0:8000")  # else the web server's port
            ports[name] = int(listens.rpartition(":")[2])
    found: dict[str, int] = {}
    for job in scraped("prometheus.yml"):
        for discovery in job["dns_sd_configs"]:  # static targets would be one replica, chosen at random
            assert discovery["type"] == "A"
            found |= dict.fromkeys(discovery["names"], discovery["port"])
    assert found == ports
    assert {"web", "feed", "consumer", "worker"} <= found.keys()


def test_every_unit_of_the_target_is_scraped_at_its_port() -> None:
    listening = []
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text() if unit.is_file() else ""
        listening += re.findall(r"^(?:ListenStream=|Environment=METRICS_LISTEN=)(\S+)$", text, re.MULTILINE)
    targets = [
        target for job in scraped("prometheus-systemd.yml") for s in job["static_configs"] for target in s["targets"]
    ]
    assert sorted(targets) == sorted(address.replace("%i", "1") for address in listening)
    started = re.findall(r"avo-[\w@]+\.service", (DEPLOY / "systemd" / "avo.target").read_text())
    assert len(targets) == len(started)


def test_who_is_asked_over_the_network_is_asked_with_the_token() -> None:
    """The web servers refuse others; the commands listen in a network of their own and have no token."""
    [web, _] = scraped("prometheus.yml")
    assert web["authorization"]["credentials_file"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, from Prometheus")
@pytest.mark.parametrize(
    "check",
    [
        ("config", "--syntax-only", "prometheus.yml"),  # else it looks for the file with the token
        ("config", "prometheus-systemd.yml"),
        ("rules", "alerts.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(check: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", "check", *check], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SUCCESS" in done.stdout

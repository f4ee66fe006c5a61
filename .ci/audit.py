"""Judges the packages that the requirements files pin: known advisories, licences, and none released for two years.

``make audit`` runs it with the tools of requirements-audit.txt. Exit status 1 if there is a finding. What cannot be
asked from here, for want of a network, is said and is no finding.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST = timedelta(days=730)
TIMEOUT_SECONDS = 10.0
KNOWN_BAD = "jinja2==2.10 --hash=sha256:" + "0" * 64  # PYSEC-2019-217, PYSEC-2021-66 and others
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


class UnreachableError(Exception):
    """The source of advisories or of release dates cannot be asked; the message says why."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: Path) -> list[str]:
    """The names of the pinned packages."""
    return [canonical(name) for name, _ in _PIN.findall(requirements.read_text())]


def advisories(requirements: Path, program: str = "pip-audit") -> Iterator[str]:
    """Raises UnreachableError, also when the source knows nothing of a package that has had advisories for years: a
    mirror may answer without any.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as known:
        known.write(KNOWN_BAD)
        known.flush()
        if not any(package.get("vulns") for package in _asked(Path(known.name), program)):
            raise UnreachableError(
                f"advisories of {requirements.name}: the source knows none of {KNOWN_BAD.split()[0]}"
            )
    for package in _asked(requirements, program):
        if "skip_reason" in package:
            yield f"{requirements.name}: {package['name']} was not looked up: {package['skip_reason']}"
        for advisory in package.get("vulns", ()):
            fixed = ", ".join(advisory["fix_versions"]) or "nothing yet"
            yield f"{requirements.name}: {package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}"


def _asked(requirements: Path, program: str) -> list[dict[str, Any]]:
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    command = [program, *options, "--timeout", f"{TIMEOUT_SECONDS:.0f}", "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise UnreachableError(f"advisories: {_last_line(done.stderr)}") from None
    return found


def licences(bill: Mapping[str, Any], wanted: Iterable[str], policy: Mapping[str, Any]) -> Iterator[str]:
    """Packages of ``wanted`` whose licence is not accepted or not known. ``bill`` is a CycloneDX document."""
    accepted, known = set(policy["accepted"]), policy["known"]
    for component in sorted(bill["components"], key=lambda component: canonical(component["name"])):
        name = canonical(component["name"])
        if name not in wanted:
            continue
        texts = [known[name]] if name in known else [_text(licence) for licence in component.get("licenses", ())]
        refused = [text for text in texts if not _is_accepted(text, accepted)]
        if refused or not texts:
            yield f"{name}: licence {', '.join(refused) or 'not declared'}"


def _text(licence: Mapping[str, Any]) -> str:
    one = licence.get("license", {})
    return str(licence.get("expression") or one.get("id") or one.get("name"))


def _is_accepted(text: str, accepted: set[str]) -> bool:
    """All of an AND, one of an OR; parentheses stand around an OR alone."""
    if text in accepted:
        return True
    return all(
        any(one.strip(" ()") in accepted for one in part.split(" OR ")) for part in re.split(r" AND (?![^(]*\))", text)
    )


def ages(names: Iterable[str], released: Callable[[str], datetime | None], now: datetime) -> Iterator[str]:
    """Packages without a release for two years. Raises UnreachableError."""
    for name in names:
        newest = released(name)
        if newest is not None and now - newest > OLDEST:
            yield f"{name}: no release since {newest:%Y-%m-%d}"


def newest_release(name: str) -> datetime | None:
    """When the newest file of a package was uploaded; None when its index does not say. Raises UnreachableError."""
    from pypi_simple import ACCEPT_JSON_PREFERRED, PyPISimple  # in requirements-audit.txt alone
    from requests import RequestException

    try:
        with PyPISimple(accept=ACCEPT_JSON_PREFERRED) as index:
            page = index.get_project_page(name, timeout=TIMEOUT_SECONDS)
    except RequestException as failure:
        raise UnreachableError(f"release dates: {type(failure).__name__}") from None
    return max((file.upload_time for file in page.packages if file.upload_time), default=None)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "pip-audit said nothing")[:200]


def main(bill: Path) -> int:
    policy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["avo-audit"]
    runtime = pins(ROOT / "requirements.txt")
    unknown = sorted(set(policy["unmaintained"]) - set(runtime))
    questions: list[Callable[[], Iterable[str]]] = [
        lambda: licences(json.loads(bill.read_text()), set(runtime), policy),
        lambda: (f"{name}: listed as unmaintained, but not pinned" for name in unknown),
        lambda: ages(sorted(set(runtime) - set(policy["unmaintained"])), newest_release, datetime.now(UTC)),
    ]
    # The development file pins all of the run time's packages too.
    files = ("requirements-dev.txt", "requirements-otel.txt", "requirements-audit.txt")
    questions += [partial(advisories, ROOT / name) for name in files]
    findings = 0
    for question in questions:
        try:
            for finding in question():
                findings += 1
                print(finding)
        except UnreachableError as reason:
            print(f"!!! NOT CHECKED: {reason} !!!")
    print(f"{findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

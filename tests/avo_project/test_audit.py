"""The findings of ``make audit``; an unreachable index is not "no findings"."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        (["MIT"], None),
        (["MIT OR GPL-3.0-only"], None),
        (["MIT AND GPL-3.0-only"], "MIT AND GPL-3.0-only"),
        (["MIT AND (Apache-2.0 OR GPL-3.0-only)"], None),
        (["GPL-3.0-only AND (Apache-2.0 OR MIT)"], "GPL-3.0-only AND (Apache-2.0 OR MIT)"),
        (["MIT", "AGPL-3.0-only"], "AGPL-3.0-only"),
        (["Proprietary"], "Proprietary"),
        ([], "not declared"),
    ],
)
def test_licences(audit: ModuleType, declared: list[str], refused: str | None) -> None:
    licences = [{"license": {"id": text}} if " " not in text else {"expression": text} for text in declared]
    bill = {"components": [{"name": "Some_Package", "licenses": licences}, {"name": "pytest", "licenses": []}]}
    policy = {"accepted": ["MIT", "Apache-2.0"], "known": {}}
    expected = [f"some-package: licence {refused}"] if refused else []
    assert list(audit.licences(bill, {"some-package"}, policy)) == expected
    assert list(audit.licences(bill, {"some-package"}, policy | {"known": {"some-package": "MIT"}})) == []


def test_ages(audit: ModuleType) -> None:
    released = {"old": datetime(2024, 11, 28, tzinfo=UTC), "new": datetime(2024, 12, 1, tzinfo=UTC), "unknown": None}
    assert list(audit.ages(released, released.get, NOW)) == ["old: no release since 2024-11-28"]


def pip_audit(folder: Path, says: str, status: int) -> str:
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{says}\nE\necho 'connection refused' >&2\nexit {status}\n")
    program.chmod(0o755)
    return str(program)


def test_advisories(audit: ModuleType, tmp_path: Path) -> None:
    vulnerable = {"id": "PYSEC-2026-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}
    packages: list[dict[str, Any]] = [
        {"name": "good", "version": "1", "vulns": []},
        {"name": "bad", "version": "1.0", "vulns": [vulnerable]},
        {"name": "local", "skip_reason": "not on the index"},
    ]
    program = pip_audit(tmp_path, json.dumps({"dependencies": packages, "fixes": []}), status=1)
    found = list(audit.advisories(tmp_path / "requirements.txt", program))
    assert found == [
        "requirements.txt: bad 1.0: PYSEC-2026-1, fixed in 1.1",
        "requirements.txt: local was not looked up: not on the index",
    ]


def test_what_cannot_be_asked_is_no_clean_bill(audit: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(audit.UnreachableError, match="advisories: connection refused"):
        list(audit.advisories(tmp_path / "requirements.txt", pip_audit(tmp_path, "", status=1)))


def test_a_mirror_without_advisories_is_no_clean_bill(audit: ModuleType, tmp_path: Path) -> None:
    silent = json.dumps({"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": []}], "fixes": []})
    with pytest.raises(audit.UnreachableError, match=r"the source knows none of jinja2==2\.10"):
        list(audit.advisories(tmp_path / "requirements.txt", pip_audit(tmp_path, silent, status=0)))


def test_the_tools_weigh_on_neither_the_runtime_nor_the_tests(audit: ModuleType) -> None:
    tools = {"pip-audit", "cyclonedx-bom", "pypi-simple"}
    assert tools <= set(audit.pins(ROOT / "requirements-audit.txt"))
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-otel.txt"):
        pinned = audit.pins(ROOT / name)
        assert "redis" in pinned
        assert tools.isdisjoint(pinned)

"""API errors are written for the caller: they name nothing that only the operator can see or do."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from throttling.services.api_keys import issue

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = json.loads((Path(__file__).parent / "data" / "api_errors.json").read_text())
APPS = ("avo_project", "regime", "signals_app", "outreach", "throttling")
SHOWN = {
    "Problem", "problem_response", "problem_body", "problem_answer", "RefusedError", "BadTokenError", "EventError",
    "SymbolError", "CursorError", "TouchError", "PermissionDenied", "NotFound", "ParseError", "ForbiddenUrlError",
}  # fmt: skip
"""What is raised or answered where a caller of the API reads its text."""
INNER = re.compile(
    r"manage\.py|\bpython\b|\b[A-Z]{2,}_[A-Z_]+\b|\b(?:NoneType|dict|str|int)\b|Traceback"
    r"|\b(?:Redis|Django|ASGI|WSGI|codec|recursion)\b"
)
"""Commands, settings, types and parts of the server."""


@pytest.fixture
def account(django_user_model: Any, db: None) -> str:
    """The key of a service account that may queue touches."""
    user = django_user_model.objects.create_user("desk")
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_touch", "view_touch"]))
    return issue(user, "desk")


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_error_is_written_for_its_reader(case: dict[str, Any], client: Any, account: str, redis_of: Any) -> None:
    headers = {"Authorization": f"Token {account}"} if case.get("account") else {}
    headers |= {"Authorization": case["authorization"]} if "authorization" in case else {}
    headers |= {"X-Forwarded-For": case["forwarded"]} if "forwarded" in case else {}
    method, body = case.get("method", "get"), json.dumps(case["body"]) if "body" in case else None
    answer = getattr(client, method)(case["path"], body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (case["status"], case["detail"])
    assert INNER.search(answer.content.decode()) is None


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in SHOWN:
            for part in ast.walk(call):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value
                elif isinstance(part, ast.Attribute) and part.attr == "__name__":
                    yield part.lineno, "NoneType"


@pytest.mark.parametrize("app", APPS)
def test_no_error_text_names_what_its_reader_cannot_see(app: str) -> None:
    found = [
        f"{module.relative_to(ROOT)}:{line}: {text}"
        for module in sorted((ROOT / app).rglob("*.py"))
        for line, text in texts(ast.parse(module.read_text()))
        if INNER.search(text)
    ]
    assert found == []

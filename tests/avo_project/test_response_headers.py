"""Every response has a Cache-Control, every page a Content-Security-Policy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token

from avo_project.http.wsgi_bridge import problem_answer

pytestmark = pytest.mark.django_db
CASES = json.loads((Path(__file__).parent / "data" / "response_headers.json").read_text())


def check_page(answer: Any) -> None:
    """No page lacks a policy, nor needs what its policy refuses."""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        assert answer["Content-Security-Policy"].startswith("default-src 'self'")
        assert not re.search(r"<script(?![^>]*\ssrc=)", answer.content.decode()), "inline scripts would not run"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['method']} {case['path'][:40]} {case['status']}")
def test_every_answer_says_who_may_keep_it(case: dict[str, Any], redis_of: Any, operator: Any) -> None:
    client = Client(enforce_csrf_checks=True, HTTP_HOST=case.get("host", "localhost"), raise_request_exception=False)
    signed_in = {"HTTP_AUTHORIZATION": f"Token {Token.objects.create(user=operator).key}"} if case.get("key") else {}
    answer = getattr(client, case["method"].lower())(case["path"], **signed_in)
    assert answer.status_code == case["status"]
    directives = set(answer["Cache-Control"].replace(" ", "").split(","))
    assert directives >= set(case.get("cache", ["private", "no-store"])), directives
    check_page(answer)
    answer.close()


def test_what_the_bridge_refuses_is_kept_by_nobody() -> None:
    assert (b"cache-control", b"private, no-store") in problem_answer(414, "The request target is too long.")[1]

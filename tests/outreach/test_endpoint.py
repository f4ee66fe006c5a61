import json
from pathlib import Path
from typing import Any

import pytest

from outreach.domain.endpoint import MAX_URL_CHARACTERS, ForbiddenUrlError, check_url

CASES = json.loads(Path(__file__).with_name("data").joinpath("endpoints.json").read_text("utf-8"))
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["url"]))


@each_case
def test_only_https_to_the_public_internet_is_allowed(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ForbiddenUrlError, match=case["error"]):
            check_url(case["url"])
    else:
        endpoint = check_url(case["url"])
        assert endpoint.port in (443, 8443)
        assert endpoint.host == case.get("host", endpoint.host)


@pytest.mark.parametrize("case", [case for case in CASES if case.get("dev")], ids=lambda case: str(case["url"]))
def test_a_private_host_is_allowed_on_request(case: dict[str, Any]) -> None:
    assert check_url(case["url"], allow_private_hosts=True).port in (1, 80, 443)


@pytest.mark.parametrize("host", ["256.1.1.1", "0177.0.0.1", "2130706433", "127.1", "-x.example.com", "a_b"])
def test_what_is_no_host_is_never_allowed(host: str) -> None:
    with pytest.raises(ForbiddenUrlError):
        check_url(f"http://{host}/", allow_private_hosts=True)


def test_a_url_is_no_longer_than_its_column() -> None:
    start = "https://hooks.example.com/"
    check_url(start + "x" * (MAX_URL_CHARACTERS - len(start)))
    with pytest.raises(ForbiddenUrlError, match="501 characters; at most 500"):
        check_url(start + "x" * (MAX_URL_CHARACTERS - len(start) + 1))

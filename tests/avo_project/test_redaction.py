"""Secrets and addresses are redacted, whatever surrounds them."""

import json
import string
from collections.abc import Iterator
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avo_project.lib.redaction import MAX_LINE, MAX_TEXT, RULES, cut, redacted, redacted_values
from avo_project.redis_client.urls import parse_redis_url

WORDS = st.text(string.ascii_lowercase + " .:/'", max_size=30)
TOKEN = st.text(string.ascii_letters + string.digits + "-_", min_size=10, max_size=60).map("Z9".__add__)
PASSWORD = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@%/?#", min_size=6, max_size=30)
LOCAL_PART = st.text(string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~.äøя", min_size=6, max_size=20)
DOMAIN = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,6}){0,2}", fullmatch=True)


@given(before=WORDS, secret=TOKEN, after=WORDS, scheme=st.sampled_from(["Bearer", "bearer", "Basic"]))
def test_a_bearer_token_is_hidden(before: str, secret: str, after: str, scheme: str) -> None:
    assert secret not in redacted(f"{before} {scheme} {secret} {after}")


@given(before=WORDS, secret=TOKEN, name=st.sampled_from(["Authorization", "Cookie", "authorization", "Set-Cookie"]))
@pytest.mark.parametrize("form", ["{name}: {secret}", "'{name}': '{secret}'", '"{name}": "Token {secret}"'])
def test_a_header_is_hidden(form: str, before: str, secret: str, name: str) -> None:
    assert secret not in redacted(before + " " + form.format(name=name, secret=secret))


@given(secret=TOKEN, name=st.sampled_from(["token", "secret", "password", "api_key", "client_secret", "access_token"]))
@pytest.mark.parametrize(
    "form", ["?{name}={secret}&x=1", "{name}={secret}", "'{name}': '{secret}'", "{name}: {secret}"]
)
def test_a_named_secret_is_hidden(form: str, secret: str, name: str) -> None:
    assert secret not in redacted(form.format(name=name, secret=secret))


@given(password=PASSWORD, scheme=st.sampled_from(["redis", "rediss", "postgres", "smtp+tls", "https"]))
def test_the_password_of_a_url_is_hidden(password: str, scheme: str) -> None:
    line = redacted(f"cannot reach {scheme}://user:{password}@db.example:5432/name now")
    assert line.startswith(f"cannot reach {scheme}://[hidden]@")
    assert line.endswith("now")
    assert f":{password}@" not in line


@given(local=LOCAL_PART, domain=DOMAIN, before=WORDS)
@pytest.mark.parametrize("form", ["{}", "<{}>", '"{}"', "inbox='{}'", "to:{},", "[{}]", "mailto:{}?subject=x"])
def test_a_mail_address_is_hidden(form: str, local: str, domain: str, before: str) -> None:
    line = redacted(f"{before} " + form.format(f"{local}@{domain}"))
    assert f"{local}@" not in line
    assert f"@{domain}" not in line


@given(token=st.text(string.ascii_letters + string.digits + "-_:.=", min_size=12, max_size=80))
def test_the_token_of_an_unsubscribe_link_is_hidden(token: str) -> None:
    assert token not in redacted(f'"POST /u/{token} HTTP/1.1" 200')
    assert token not in redacted(f"https://example.org/u/{token}")


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "avo_b3f55302d2294c600feebd5bf299ecbd3cdd40f6",
        "ak_2wW7TLnbFDvmmTHCNCqL",
        "oat_2wW7TLnbFDvmmTHCNCqL",
        "mt_2wW7TLnbFDvmmTHCNCqL",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        '"john smith"@example.org',
        "o'brien@example.org",
        "user@[192.0.2.1]",
    ],
)
def test_a_secret_is_known_by_its_look(secret: str) -> None:
    assert secret not in redacted(f"refused: {secret} (again)")
    assert redacted(f"refused: {secret} (again)").endswith("(again)")


@pytest.mark.parametrize(
    "line",
    [
        "consumer web-1-4711 joins group apex-group",
        "Redis is away, next try in 0.5 s: Error 111 connecting to 127.0.0.1:6379. Connection refused.",
        "entry 1790000000000-0 is given up: confidence: not in 0..1",
        "touch 7d9f7a52-3a0e-4a8e-9c66-6b4c1f0c3b0e waits until 08:00",
        "trimmed 10000 entries",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redacted(line) == line


@given(st.text(max_size=200))
def test_twice_is_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@given(st.sampled_from(["redis", "unix", "redis+sentinel"]), st.text(string.ascii_letters, min_size=5, max_size=12))
def test_no_url_that_the_project_reads_keeps_its_password(scheme: str, password: str) -> None:
    place = {"redis": "host:1/0", "unix": "/tmp/x.sock", "redis+sentinel": "host:1/service/0"}[scheme]
    url = f"{scheme}://:{password}@{place}"
    assert parse_redis_url(url).password == password
    assert f":{password}@" not in redacted(url)


def test_values_are_looked_through_to_the_bottom() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd bob@example.org"

    value: Any = {"a": ["bob@example.org", {"b": ("token=abcdef123", 5, None, 1.5, True)}], "c": Odd()}
    assert redacted_values(value) == {
        "a": ["[address]", {"b": ["token=[hidden]", 5, None, 1.5, True]}],
        "c": "odd [address]",
    }


HOSTILE = json.loads((Path(__file__).parent / "data" / "hostile_log_texts.json").read_text())


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_text_is_cut_before_it_is_looked_through(piece: str) -> None:
    for times in (1, 12_000, 120_000):
        looked_at = cut(piece * times)
        assert len(looked_at) <= MAX_TEXT + MAX_LINE
        assert max(map(len, looked_at.split("\n"))) <= MAX_LINE
        assert len(redacted(piece * times)) <= 2 * MAX_TEXT


def test_what_is_cut_ends_between_words_so_that_no_half_secret_stays() -> None:
    for secret in ("redis://user:hunter2hunter2@host", "somebody.long@example.org", "token=abcdef0123456789"):
        for place in range(MAX_LINE - len(secret) - 10, MAX_LINE + 2):
            line = redacted("x" * place + " " + secret + " end" * 100)
            assert "hunter2" not in line
            assert "somebody" not in line
            assert "abcdef" not in line
    assert redacted("GET /" + "a@[" * 12_000) == "GET [cut]"
    assert redacted("a" * 40_000) == "[cut]"


def test_a_traceback_keeps_its_lines() -> None:
    lines = [f"  File {number}, in handler" for number in range(300)]
    assert redacted("\n".join(lines)) == "\n".join(lines)


def _unbounded(tree: Any) -> Iterator[Any]:
    """The kinds of all repeats without an end in a parsed pattern."""
    for kind, argument in tree:
        if str(kind).endswith("REPEAT") and argument[1] is parser.MAXREPEAT:
            yield kind
        for inner in argument if isinstance(argument, list | tuple) else ():
            for branch in inner if isinstance(inner, list) else [inner]:
                if isinstance(branch, parser.SubPattern):
                    yield from _unbounded(branch)


def test_no_rule_backtracks() -> None:
    kinds = [kind for pattern, _ in RULES for kind in _unbounded(parser.parse(pattern.pattern, pattern.flags))]
    assert len(kinds) > 10
    assert set(map(str, kinds)) == {"POSSESSIVE_REPEAT"}

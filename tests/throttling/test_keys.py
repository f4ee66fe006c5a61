"""The page about keys names every key there is, and no other."""

import inspect
import re
from pathlib import Path

from throttling import keys

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def documented() -> set[str]:
    text = (DOCS / "keys.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(throttle:[^`]+)` \|", text, re.MULTILINE))


def made() -> set[str]:
    made_up = {
        "subject": "<subject>",
        "window_seconds": "<seconds>",
        "source": "<digest>",
        "hour": "<hour>",
        "slot": "<slot>",
    }
    functions = [function for _, function in inspect.getmembers(keys, inspect.isfunction)]
    whole = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and name != "REDIS_ALIAS"
    }
    return whole | {
        function(*(made_up[name] for name in inspect.signature(function).parameters)) for function in functions
    }


def test_the_page_and_the_code_agree() -> None:
    assert documented() == made()


def test_every_key_says_its_type() -> None:
    for _, function in inspect.getmembers(keys, inspect.isfunction):
        assert re.match(r"(Hash|String|Sorted set): ", inspect.getdoc(function) or ""), function

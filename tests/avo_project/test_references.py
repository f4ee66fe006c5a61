"""Files, modules, commands, variables and routes named in pages, docstrings, comments and samples exist."""

import builtins
import importlib.util
import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from tests.avo_project import references
from tests.avo_project.references import FILE, Reference, documents, is_defined, is_file, is_folder, text_of, tracked

APPS = ("avo_project", "regime", "signals_app", "outreach", "throttling")
MADE_LATER = ("var/", "deploy/.env", "users.acl", "all.json")
"""What the project or its reader writes."""
OTHERS = {
    "ValkeyServer", "WatchError", "HerdClient", "AckWait", "DiscardNew", "MaxDeliver", "limit_req", "task_acks_late",
    "default_destination_rate_delay", "super_fetch",
    "pg_restore", "SCHED_BATCH", "SCHED_IDLE", "SO_REUSEPORT", "REQUEST_ID",
    "--host", "--build-arg", "--scale", "--user", "--askpass",
}  # fmt: skip
"""Names of other programs, and of what a reader puts in: add one here when a page names it rightly."""
NAME = re.compile(r"[a-z]+(?:_[a-z0-9]+)+|[A-Z][a-z]+(?:[A-Z][a-z]+)+|[A-Z][A-Z0-9]*_[A-Z0-9_]+")
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
UUID = "0192a8d6-b677-7029-8876-1291c628e85a"

pages = pytest.mark.parametrize("page", documents())


def code_of(page: str) -> list[Reference]:
    return references.inline_code(page) + references.fenced_lines(page)


@pages
def test_files_and_folders_of_a_page_are_there(page: str) -> None:
    missing = []
    for text, _ in references.inline_code(page):
        if text in MADE_LATER or text.startswith("/"):
            continue
        is_path = FILE.fullmatch(text) or re.fullmatch(r"[a-z<.][\w<>.]*(?:/[\w<>.]*)+", text)
        if is_path and not (is_file(text, page) or is_folder(text)):
            missing.append(text)
    assert missing == []


@pages
def test_names_of_a_page_are_those_of_the_code(page: str) -> None:
    names = [text for text, _ in references.inline_code(page) if NAME.fullmatch(text)]
    assert [name for name in names if not is_known(name)] == []


def is_known(name: str) -> bool:
    """Metrics have a test of their own; permissions are named after models."""
    is_ours = name in references.vocabulary() or name in references.members()
    if is_ours or name.startswith("avo_") or name in OTHERS or hasattr(builtins, name):
        return True
    verb, _, model = name.partition("_")
    return verb in ("view", "add", "change", "delete") and model in {one._meta.model_name for one in apps.get_models()}


@pages
def test_dotted_names_of_a_page_lead_somewhere(page: str) -> None:
    names = [
        text
        for text, _ in references.inline_code(page)
        if re.fullmatch(r"(?:[a-z_]|[A-Z][a-z])\w*(?:\.[A-Za-z_]\w*)+", text)
    ]
    assert [name for name in names if not (is_file(name) or is_defined(name) or is_foreign(name))] == []


def is_foreign(dotted: str) -> bool:
    """A check of Django's kind, or a name of another package."""
    first, last = dotted.split(".")[0], dotted.rpartition(".")[2]
    if first == "avo":
        return any(f'"{dotted}"' in text_of(name) for name in references.sources(".py"))
    return hasattr(getattr(builtins, first, None), last) or (
        first not in references.members() and importlib.util.find_spec(first) is not None
    )


@cache
def options_of(command: str) -> frozenset[str]:
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    return frozenset(option for action in parser._actions for option in action.option_strings)


def ours() -> list[str]:
    return [name for name, app in get_commands().items() if app in APPS]


@pages
def test_commands_of_a_page_take_their_options(page: str) -> None:
    every = frozenset().union(*map(options_of, [*ours(), "check", "migrate"])) | OTHERS
    wrong = []
    for text, _ in code_of(page):
        wrong += [name for name in re.findall(r"manage\.py ([a-z_]+)", text) if name not in get_commands()]
        for name, rest in re.findall(r"(?:manage\.py |^|\| )([a-z_]+)\b([^|>]*)", text):
            if name in get_commands():
                wrong += [f"{name} {option}" for option in OPTION.findall(rest) if option not in options_of(name)]
        if text.startswith("--"):
            wrong += [option for option in OPTION.findall(text) if option not in every]
        wrong += [name for name in re.findall(r"python -m ([\w.]+)", text) if not importlib.util.find_spec(name)]
        wrong += [name for name in re.findall(r"\bmake ([a-z]+)", text) if f"\n{name}:" not in text_of("Makefile")]
    assert wrong == []


@pages
def test_routes_of_a_page_are_served(page: str) -> None:
    route = re.compile(
        r"(?:^|\b(?:GET|POST|PUT|DELETE) |localhost:\d+)(/(?:api|admin|u|webhooks|livez|readyz|metrics)\b[^\s'?]*)"
    )
    paths = {path for text, _ in code_of(page) for path in route.findall(text)} - {"/api/"}
    assert [path for path in paths if not is_served(re.sub(r"<\w+>", UUID, path))] == []


def is_served(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


@pages
def test_links_of_a_page_lead_to_a_page_and_a_heading(page: str) -> None:
    wrong = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text_of(page)):
        there = posixpath.normpath(f"{PurePosixPath(page).parent}/{target}") if target else page
        is_there = there in tracked() or is_folder(there)
        if not is_there or (anchor and anchor not in references.anchors(there)):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


def test_every_page_that_any_file_names_is_there() -> None:
    wrong = []
    for name in tracked():
        for page, anchor in re.findall(r"(docs/[\w/-]+\.md)(?:#([\w-]+))?", text_of(name)):
            if page not in tracked() or (anchor and anchor not in references.anchors(page)):
                wrong.append(f"{name}: {page}#{anchor}")
    assert wrong == []


@pages
def test_words_that_a_page_quotes_stand_in_the_console(page: str) -> None:
    code = " ".join(text_of(name) for app in APPS for name in tracked() if name.startswith(f"{app}/"))
    quoted = re.findall(r'"([A-Z][^"\n]+)"', re.sub(r"`[^`]*`", "", references.without_fences(text_of(page))))
    assert [words for words in quoted if words.lower().rstrip(".,") not in code.lower()] == []


def test_variables_that_pages_and_samples_name_are_read() -> None:
    """A page names one alone between backticks (see the test of names) or sets it; what else stands in capitals is for
    the reader to put in."""
    set_in = {page: " ".join(text for text, _ in code_of(page)) for page in documents()}
    named = {page: re.findall(VARIABLE.pattern + "(?==)", text) for page, text in set_in.items()}
    named |= {sample: VARIABLE.findall(text_of(sample)) for sample in references.samples()}
    known = references.vocabulary() | OTHERS
    assert [f"{name}: {one}" for name, found in named.items() for one in found if one not in known] == []


def test_every_variable_of_the_table_and_of_the_sample_is_read() -> None:
    code = " ".join(text_of(name) for app in APPS for name in references.sources(".py") if name.startswith(f"{app}/"))
    read = set(re.findall(r'["\'](\w+)["\']', code))
    table = re.findall(
        r"^\| (`[^|]*`) \|", text_of("docs/operations.md").partition("\n## The embedded")[0], re.MULTILINE
    )
    assert {name for row in table for name in re.findall(r"`([A-Z_]+)`", row)} - read == set()
    sample = set(re.findall(r"^([A-Z_]+)=", text_of("deploy/env.sample"), re.MULTILINE))
    assert sample - read - set(re.findall(r"\$\{?([A-Z_]+)", text_of("deploy/compose.yaml"))) == set()


def every_remark() -> Iterator[Reference]:
    for name in references.sources(".py"):
        yield from references.remarks(name)


def test_files_that_docstrings_and_comments_name_are_there() -> None:
    named = [
        *every_remark(),
        *(Reference(text_of(name), name) for name in [*references.sources(".lua"), *references.samples()]),
    ]
    wrong = [
        f"{where}: {file}"
        for text, where in named
        for file in FILE.findall(text)
        if file.endswith((".py", ".lua", ".md"))
        if not (is_file(file, where) or file.endswith(MADE_LATER) or is_defined(file))
    ]
    assert wrong == []


def test_names_that_docstrings_quote_are_those_of_the_code() -> None:
    wrong = []
    for text, where in every_remark():
        quoted = [one for one in re.findall(r"``([^`]+)``", text) if re.fullmatch(r"[A-Za-z_][\w.]*(?:\(\))?", one)]
        words = [word for one in quoted for word in re.findall(r"[A-Za-z_]\w*", one)]
        words += re.findall(r"\b[A-Z]\w+Error\b", text)
        wrong += [f"{where}: {word}" for word in words if not is_known(word)]
    assert wrong == []


def test_sections_are_those_of_a_named_standard() -> None:
    wrong = [
        f"{name}: {before}"
        for name in [*references.sources(".py"), *references.sources(".lua"), *documents()]
        for found in re.finditer(r"\bsections? \d", text_of(name))
        if not re.search(r"RFC \d|draft|WHATWG", before := text_of(name)[max(0, found.start() - 60) : found.start()])
    ]
    assert wrong == []

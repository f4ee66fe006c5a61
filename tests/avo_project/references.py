"""References in documents, docstrings and samples, and what exists in the project."""

import ast
import io
import itertools
import re
import subprocess
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = re.compile(
    r"(?<![$\w/.])(?:<\w+>|[\w*./@-])*(?:<\w+>|[\w*])\.(?:py|lua|md|toml|ya?ml|json|ndjson|txt|sample|acl)(?![\w.])"
)
_HOLDERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Reference(NamedTuple):
    """A name, or a text with names in it, and where it stands."""

    text: str
    where: str


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in listed.splitlines() if (ROOT / name).is_file())


@cache
def text_of(name: str) -> str:
    return "" if name.endswith((".gz", ".png")) else (ROOT / name).read_text()


def documents() -> list[str]:
    """The pages for readers. The changelog tells of what is gone as well."""
    return [name for name in tracked() if name.endswith(".md") and name != "CHANGELOG.md" and "/static/" not in name]


def sources(ending: str) -> list[str]:
    return [name for name in tracked() if name.endswith(ending)]


def samples() -> list[str]:
    """Files that start, deploy or check the project."""
    return [
        name for name in tracked() if name.startswith(("deploy/", "bin/", ".ci/")) or name in ("Makefile", "Procfile")
    ]


def inline_code(page: str) -> list[Reference]:
    """What stands between backticks in a page."""
    found = re.findall(r"`([^`\n]+)`", without_fences(text_of(page)))
    return [Reference(one.replace("\\|", "|"), page) for one in found]


def fenced_lines(page: str) -> list[Reference]:
    """The lines of a page's blocks of code; a continued line is one."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text_of(page), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [Reference(re.sub(r"\s+#\s.*", "", line).strip(), page) for line in lines if line.strip()]


def without_fences(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def remarks(name: str) -> list[Reference]:
    """The docstrings and comments of a Python file."""
    return [Reference(text, f"{name}:{span.start}") for span, text in _remarks(name)]


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(text_of(name))


@cache
def _remarks(name: str) -> tuple[tuple[range, str], ...]:
    return (*_docstrings(name), *_comments(name))


def _docstrings(name: str) -> Iterator[tuple[range, str]]:
    for node in ast.walk(_tree(name)):
        for child in node.body if isinstance(node, _HOLDERS) else ():
            value = child.value if isinstance(child, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield range(value.lineno, (value.end_lineno or value.lineno) + 1), value.value


def _comments(name: str) -> Iterator[tuple[range, str]]:
    if "#" in text_of(name):
        for token in tokenize.generate_tokens(io.StringIO(text_of(name)).readline):
            if token.type == tokenize.COMMENT:
                yield range(token.start[0], token.start[0]), token.string


def _code(name: str) -> str:
    """A Python file without its docstrings and comments."""
    lines = text_of(name).splitlines()
    for span, text in _remarks(name):
        if not span:
            lines[span.start - 1] = lines[span.start - 1].replace(text, "")
        for line in span:
            lines[line - 1] = ""
    return "\n".join(lines)


@cache
def vocabulary() -> frozenset[str]:
    """Every word of the code, and of the files that start and deploy it."""
    words: set[str] = set()
    for name in tracked():
        if not name.endswith((".md", ".txt")):
            text = _code(name) if name.endswith(".py") else text_of(name)
            words.update(re.findall(r"[A-Za-z_]\w*", text))
    return frozenset(words)


@cache
def members() -> Mapping[str, set[str]]:
    """What lies in each package, module and class, by their last name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in sources(".py"):
        path = PurePosixPath(name)
        found[path.parent.name].add(path.stem)
        found[path.parent.parent.name].add(path.parent.name)
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.ClassDef):
                found[node.name].update(_names(node.body))
        found[path.stem].update(_names(_tree(name).body))
    return dict(found)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                yield target.id


def is_defined(dotted: str) -> bool:
    """Whether each part of a dotted name lies in the one before it: ``http.fetch``, ``StateCache.put_many``."""
    first, second, *rest = dotted.split(".")
    if f"{first}/models.py" in tracked() and second in members()["models"]:
        return True
    return all(part in _within(owner) for owner, part in itertools.pairwise((first, second, *rest)))


def _within(owner: str) -> set[str]:
    """What lies in a module or class, or in the class that a variable is named after."""
    return members().get(owner, set()) | members().get(owner.title(), set())


def is_file(reference: str, near: str = "") -> bool:
    """Whether a tracked file has this path, from the root or from the page ``near``, or ends with it; ``<app>`` and
    ``*`` stand for any part."""
    return _is_there(reference.removeprefix("./"), "") or f"{PurePosixPath(near).parent}/{reference}" in tracked()


def is_folder(reference: str) -> bool:
    return _is_there(reference.rstrip("/"), "/.*")


def _is_there(reference: str, rest: str) -> bool:
    pattern = re.sub(r"<\w+>|\\\*", "[^/]+", re.escape(reference))
    return any(re.fullmatch(rf"(?:.*/)?{pattern}{rest}", name) for name in tracked())


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_fences(text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

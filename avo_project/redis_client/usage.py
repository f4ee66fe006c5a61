"""What the code of each role does to Redis, read from the code itself: its commands and the keys it names."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from django.apps import apps
from redis.commands.core import CoreCommands

_CLIENTS = {"client", "pipe", "pipeline", "server"}  # what this project calls them
_CONTAINERS = {"cluster", "config", "script", "xgroup", "xinfo"}
_METHODS = {
    "delete": {"del"},
    "incr": {"incrby"},
    "xpending_range": {"xpending"},
    "pipeline": {"multi", "exec"},
    "register_script": {"evalsha", "eval", "script|load", "script|exists"},
}
_KNOWN = {name.upper() for name in dir(CoreCommands) if not name.startswith("_")} - {"GET"}  # GET is HTTP's too
_LUA_CALL = re.compile(r"""\bp?call\(\s*['"](\w+)['"](?:\s*,\s*['"]([A-Z]+)['"])?""")


@dataclass(slots=True)
class Usage:
    """``commands`` as in an ACL rule, such as ``xgroup|create``; ``patterns`` are globs of key names."""

    commands: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)


def usage_by_alias() -> dict[str, Usage]:
    """Alias to what it is used for. What no app owns is used with every alias."""
    found: dict[str, Usage] = {}
    shared = Usage()
    for config in apps.get_app_configs():
        if find_spec(f"{config.name}.keys") is None:
            continue
        keys = importlib.import_module(f"{config.name}.keys")
        own_alias = getattr(keys, "REDIS_ALIAS", None)
        for alias, usage in _usage_of_app(Path(config.path), keys, own_alias):
            held = found.setdefault(alias, Usage()) if alias else shared
            held.commands |= usage.commands
            held.patterns |= usage.patterns
    for usage in found.values():
        usage.commands |= shared.commands
        usage.patterns |= shared.patterns
    return found


def _usage_of_app(folder: Path, keys: ModuleType, own_alias: str | None) -> Iterator[tuple[str | None, Usage]]:
    """A module that names another ``*_ALIAS`` of ``keys`` than REDIS_ALIAS works on that one alone."""
    other = {name: value for name, value in vars(keys).items() if name.endswith("_ALIAS") and value != own_alias}
    of_others: set[str] = set()
    for path in sorted(path for path in folder.rglob("*.py") if "migrations" not in path.parts):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        alias = next((value for name, value in other.items() if f"keys.{name}" in text), own_alias)
        commands = commands_of_module(tree) | commands_of_scripts(folder, tree)
        patterns = {pattern for name in _key_names(tree) for pattern in patterns_of(keys, name)}
        if alias != own_alias:
            of_others |= patterns
        yield alias, Usage(commands, patterns if alias != own_alias else set())
    yield own_alias, Usage(set(), patterns_of(keys) - of_others)


def commands_of_module(tree: ast.AST) -> set[str]:
    """The commands that a module sends by methods of a client, or packs by itself as a tuple or a call's arguments."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_client(node.func.value):
            found |= _commands_of_method(node.func.attr)
        parts = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        if parts and isinstance(parts[0], ast.Constant):
            word = parts[0].value
            word = word.decode("latin-1") if isinstance(word, bytes) else word
            found |= {word.lower()} if isinstance(word, str) and word in _KNOWN else set()
    return found


def _is_client(node: ast.expr) -> bool:
    """Whether the expression ends in a client; calls chained on a pipeline count."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") in _CLIENTS


def _commands_of_method(method: str) -> set[str]:
    if method in _METHODS:
        return _METHODS[method]
    if method.upper() not in _KNOWN | {"GET"}:
        return set()
    container, _, rest = method.partition("_")
    return {f"{container}|{rest}" if container in _CONTAINERS and rest else method}


def commands_of_scripts(folder: Path, tree: ast.AST) -> set[str]:
    """The commands in the Lua scripts whose verbs a module names; it does if it calls ``read_lua``."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    scripts = [path for path in folder.glob("lua/*.lua") if "read_lua" in names and path.stem in words]
    calls = [call for path in scripts for call in _LUA_CALL.findall(path.read_text(encoding="ascii"))]
    return {_lua_command(name.lower(), sub.lower()) for name, sub in calls}


def _lua_command(name: str, subcommand: str) -> str:
    return f"{name}|{subcommand}" if name in _CONTAINERS else name


def _key_names(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "keys"
    }


def patterns_of(keys: ModuleType, name: str | None = None) -> set[str]:
    """The globs of all keys of a ``keys`` module, or of the one constant or function ``name``."""
    chosen = vars(keys).items() if name is None else [(name, getattr(keys, name, None))]
    return {pattern for _, value in chosen if (pattern := _pattern(value, keys))}


def _pattern(value: object, keys: ModuleType) -> str:
    if isinstance(value, str):
        return value if ":" in value and "\n" not in value and " " not in value and value[-1] != ":" else ""
    if inspect.isfunction(value) and value.__module__ == keys.__name__ and value.__annotations__["return"] is str:
        return str(value(*["*"] * len(inspect.signature(value).parameters)))
    return ""

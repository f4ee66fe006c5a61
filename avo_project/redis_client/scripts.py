"""Loads the Lua scripts of an app."""

from functools import cache
from importlib import resources


@cache
def read_lua(package: str, verb: str) -> str:
    """The source of ``<package>/lua/<verb>.lua``.

    Raises FileNotFoundError when the package has no such script.
    """
    return resources.files(package).joinpath("lua", f"{verb}.lua").read_text(encoding="ascii")

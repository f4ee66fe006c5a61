"""Reads the Lua scripts that lie beside the code that owns them."""

from functools import cache
from importlib import resources


@cache
def read_lua(package: str, verb: str) -> str:
    """The text of ``<package>/lua/<verb>.lua``.

    Raises FileNotFoundError when the package has no such script.
    """
    return resources.files(package).joinpath("lua", f"{verb}.lua").read_text(encoding="ascii")

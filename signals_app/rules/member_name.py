"""How a group or a consumer may be called, wherever somebody makes one."""

_MOST_CHARACTERS = 200


def check_name(what: str, name: str) -> None:
    """Raises ValueError: a name is 1 to 200 printable characters without a space, for commands and logs to name it."""
    if not 1 <= len(name) <= _MOST_CHARACTERS or not name.isprintable() or any(map(str.isspace, name)):
        raise ValueError(f"{what} must be a name of 1 to {_MOST_CHARACTERS} printable characters without a space")

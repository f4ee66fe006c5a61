"""Redis URLs parsed into one record, with errors that never contain a password."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_to_bytes, urlsplit

Kind = Literal["single", "unix", "sentinel", "cluster"]

_KINDS: dict[str, Kind] = {
    "redis": "single",
    "rediss": "single",
    "unix": "unix",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}
_DEFAULT_PORTS: dict[Kind, int] = {"single": 6379, "unix": 0, "sentinel": 26379, "cluster": 6379}
_CREDENTIALS = re.compile(r"//.*@", re.DOTALL)
_PASSWORD_OPTION = re.compile(r"(password=)[^&#]*", re.IGNORECASE)


class RedisUrlError(ValueError):
    """A Redis URL that cannot be used; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """The address of one role's Redis. ``hosts`` are (name, port) pairs, empty for a unix socket. ``tls`` is for the
    servers and for the Sentinels, which have their own user name and password."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def mask_password(url: str) -> str:
    """``url`` with everything between ``//`` and the last ``@``, and each password among its options, replaced by
    ``***``; all of it if it is not a URL."""
    return _PASSWORD_OPTION.sub(r"\1***", _CREDENTIALS.sub("//***@", url)) if "://" in url else "***"


def unix_socket_url(path: Path) -> str:
    """The URL that ``parse_redis_url`` reads as ``path``, whatever characters or bytes it has."""
    return f"unix://{quote(os.fsencode(path))}"


def parse_redis_url(url: str) -> RedisTarget:
    """The target that ``url`` names.

    Schemes: redis, rediss, unix, redis+sentinel (``//host:port,host:port/service/db``, with the options
    ``sentinel_username`` and ``sentinel_password``), redis+cluster (``//host:port,host:port``), and both with
    ``rediss+``. Raises RedisUrlError with what is wrong and what to write instead.
    """
    try:
        parts = urlsplit(url.strip())
        kind = _KINDS[parts.scheme]
    except (ValueError, KeyError):
        raise _unusable(url, f"the scheme must be one of {', '.join(_KINDS)}") from None
    if parts.fragment or url.strip().endswith("#"):
        raise _unusable(url, "write %23 for #")
    credentials, _, address = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    path, service, database = _place(url, kind, parts)
    options = dict(parse_qsl(parts.query)) if kind == "sentinel" else {}
    return RedisTarget(
        kind=kind,
        hosts=() if kind == "unix" else _hosts(url, address, _DEFAULT_PORTS[kind]),
        path=path,
        service=service,
        database=database,
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=parts.scheme.startswith("rediss"),
        sentinel_username=options.get("sentinel_username") or None,
        sentinel_password=options.get("sentinel_password") or None,
    )


def _hosts(url: str, address: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_host(url, one, default_port) for one in address.split(","))


def _host(url: str, address: str, default_port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]/\s]+)(?::(?P<port>\d{1,5}))?", address)
    if match is None:
        raise _unusable(url, "each server must be written host:port")
    port = int(match["port"] or default_port)
    if not 0 < port < 65536:
        raise _unusable(url, "a port must be between 1 and 65535")
    return match["name"].strip("[]"), port


def _place(url: str, kind: Kind, parts: SplitResult) -> tuple[str, str, int]:
    """Socket path, Sentinel service and database; each kind has some of them."""
    steps = parts.path.strip("/").split("/")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = options.get("db", "0")
    if kind == "unix":
        if not parts.path.startswith("/") or parts.path == "/":
            raise _unusable(url, "a unix URL must name the socket's absolute path, like unix:///run/redis.sock")
        if options.keys() - {"db"}:
            raise _unusable(url, "write %3F for a ? in the path; the only option of a unix URL is ?db=")
        return os.fsdecode(unquote_to_bytes(parts.path)), "", _database(url, database)
    if kind == "sentinel":
        if not steps[0] or len(steps) > 2:
            raise _unusable(url, "a Sentinel URL must end in /service or /service/db")
        return "", unquote(steps[0]), _database(url, steps[1] if len(steps) == 2 else database)
    if len(steps) > 1:
        raise _unusable(url, "the path must be one database number")
    number = _database(url, steps[0] or database)
    if kind == "cluster" and number:
        raise _unusable(url, "a cluster has no databases")
    return "", "", number


def _database(url: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _unusable(url, "the database must be a number")
    return int(text)


def _unusable(url: str, reason: str) -> RedisUrlError:
    return RedisUrlError(f"cannot use {mask_password(url)!r}: {reason}")

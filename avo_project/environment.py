"""Environment variables for settings.py; an unusable value ends the process with one line."""

import contextlib
import ipaddress
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import environ

_TRUE = {"1", "true", "yes", "on", "y", "t", "ok"}
_FALSE = {"0", "false", "no", "off", "n", "f"}
_DATABASES = {"postgres", "postgresql", "sqlite"}
_MAIL = {"smtp", "smtp+tls", "smtp+ssl", "consolemail", "filemail", "memorymail", "dummymail"}
_MAX_WHOLE_NUMBER = 10**12  # above any sensible setting, and exact in Redis and Lua
_HOST = re.compile(r"\*|\.?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\]", re.IGNORECASE)
_BEARER_TOKEN = re.compile(r"[!-~]([ -~]*[!-~])?")  # other bytes do not survive in a header field
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ's reader: an empty variable counts as unset, and an unusable value ends the process. A value that
    begins with ``$`` is taken as it is; django-environ would read the variable of that name, and else the default."""

    def __init__(self) -> None:
        super().__init__()
        self.ENVIRON = {name: value for name, value in os.environ.items() if value}

    def get_value(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any) -> Any:
        if cast is bool and self.ENVIRON.get(var, "1").lower() not in _TRUE | _FALSE:
            stop(var, "must be true or false.")
        raw = self.ENVIRON.get(var, "")
        try:
            if raw.startswith("$"):
                return self.parse_value(raw, type(default) if cast is None else cast)
            return super().get_value(var, cast=cast, default=default, **options)
        except ValueError:
            stop(var, f"must be a {'whole number' if cast is int else getattr(cast, '__name__', 'value')}.")

    def whole_number(self, name: str, *, default: int, at_least: int = 1) -> int:
        number: int = self.int(name, default=default)
        if not at_least <= number <= _MAX_WHOLE_NUMBER:
            stop(name, f"must be a whole number from {at_least} to {_MAX_WHOLE_NUMBER}.")
        return number

    def database(self, default: Path) -> dict[str, Any]:
        """``DATABASE_URL`` as Django's settings of one database; the SQLite file ``default`` when it is unset."""
        usage = "cannot be used. Write postgres://user:password@host:port/name or sqlite:////path/to/file."
        if "DATABASE_URL" not in self.ENVIRON:
            _make_private(default)
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
        settings: dict[str, Any] = self._settings("DATABASE_URL", self.db_url, _DATABASES, usage)
        settings["NAME"] = self._file_path("DATABASE_URL", "sqlite") or settings["NAME"]
        if not settings["NAME"]:
            stop("DATABASE_URL", usage)
        return settings

    def mail(self, default: Path) -> dict[str, Any]:
        """``EMAIL_URL`` as Django's settings of outgoing mail; files in the folder ``default`` when it is unset."""
        usage = "cannot be used. Write smtp://user:password@host:port or smtp+tls://user:password@host:port."
        if "EMAIL_URL" not in self.ENVIRON:
            with contextlib.suppress(OSError):  # the first mail reports it
                default.mkdir(mode=0o700, exist_ok=True)  # mails hold addresses and unsubscribe tokens
            return {
                "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
                "EMAIL_FILE_PATH": str(default),
            }
        settings: dict[str, Any] = self._settings("EMAIL_URL", self.email_url, _MAIL, usage)
        settings["EMAIL_FILE_PATH"] = self._file_path("EMAIL_URL", "filemail") or settings["EMAIL_FILE_PATH"]
        if self.ENVIRON["EMAIL_URL"].startswith("smtp") and not settings["EMAIL_HOST"]:
            stop("EMAIL_URL", usage)
        return settings

    def _settings(self, name: str, read: Any, schemes: set[str], usage: str) -> Any:
        url = self.ENVIRON[name]
        if "#" in url:  # what follows would be ignored silently
            stop(name, "contains a #. Write %23 in its place.")
        with contextlib.suppress(environ.ImproperlyConfigured, ValueError):  # their messages may contain a password
            if urlsplit(url).scheme in schemes:
                return read(name)
        return stop(name, usage)

    def _file_path(self, name: str, scheme: str) -> str:
        """The path in a URL of ``scheme``, unquoted (django-environ turns a plus sign into a space); else empty."""
        parts = urlsplit(self.ENVIRON[name])
        if parts.scheme != scheme:
            return ""
        if parts.query:  # these URLs have no options
            stop(name, "contains a ?. Write %3F in its place.")
        return unquote(parts.path[1:])

    def words(self, name: str, *, default: list[str]) -> list[str]:
        """A comma list without empty parts. One that is set must have a part: no list may mean no limit."""
        words = [word.strip() for word in self.list(name, default=default) if word.strip()]
        if name in self.ENVIRON and not words:
            stop(name, "must be a comma list of at least one part. Remove the variable for its default.")
        return words

    def hosts(self, name: str, *, default: list[str]) -> list[str]:
        """A comma list of host names as Django matches them: without scheme, port and path."""
        hosts = [host.strip() for host in self.list(name, default=default) if host.strip()]
        if not hosts or not all(map(_HOST.fullmatch, hosts)):
            stop(
                name,
                "must be a comma list of names alone, like a.com, .example.com (every name below it too) or [::1], "
                "without scheme, port and *.",
            )
        return hosts

    def bearer_token(self, name: str) -> str:
        """A secret that callers send in a header field; empty when unset."""
        token: str = self.str(name, default="")
        if token and not _BEARER_TOKEN.fullmatch(token):
            stop(
                name, "must be printable ASCII characters, without a space at either end, as a header field carries it."
            )
        return token

    def http_url(self, name: str) -> str:
        """An http(s) URL without the slash at its end, or an empty text when it is unset."""
        url = str(self.str(name, default="")).rstrip("/")
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.netloc):
            stop(name, "must be a URL like https://avo.example.com.")
        return url

    def origins(self, name: str) -> list[str]:
        """A comma list of web origins (RFC 6454); a slash at the end is left out."""
        origins = [origin.strip().rstrip("/").lower() for origin in self.list(name, default=[])]
        if not all(map(_ORIGIN.fullmatch, origins)):
            stop(name, "must be a comma list of origins like https://app.example.com, without paths and wildcards.")
        return origins

    def listen_address(self, name: str) -> tuple[str, int] | None:
        """``host:port`` to listen on; None when it is unset."""
        text = str(self.str(name, default=""))
        if not text:
            return None
        host, _, port = text.rpartition(":")
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
            stop(name, "must be host:port with a port from 1 to 65535, like 127.0.0.1:9101.")
        address = host.strip("[]") or "127.0.0.1"
        if address.replace(".", "").isdigit() and not _is_ip(address):
            stop(name, "must begin with an address or a host name, like 127.0.0.1:9101.")
        return address, int(port)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def command_name(arguments: list[str]) -> str:
    """The management command or the program that this process runs."""
    program = Path(arguments[0]).name.removesuffix(".py") if arguments and arguments[0] else "python"
    return arguments[1] if program in {"manage", "django-admin"} and len(arguments) > 1 else program


def serves_requests() -> bool:
    """Whether this process serves requests, under any server, and therefore needs short store timeouts."""
    applications = {"avo_project.wsgi", "avo_project.asgi"}  # they load the settings
    return not applications.isdisjoint(sys.modules) or command_name(sys.argv) == "runserver"


def data_dir(default: Path) -> Path:
    """The data folder, created if missing."""
    try:
        folder = Path(os.environ.get("AVO_DATA_DIR") or default).expanduser().resolve()
    except RuntimeError:
        stop("AVO_DATA_DIR", "starts with ~ and an unknown user name. Write the full path.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        stop(
            "AVO_DATA_DIR",
            f"cannot create {folder}: {error.strerror}. Choose a folder that this user may write to.",
        )
    return folder


def stored_secret_key(folder: Path) -> str:
    """The secret key stored in ``folder``; the first process creates it, concurrent ones get the same key."""
    kept = folder / "secret_key"
    if not kept.exists():
        made = folder / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            made.write_text(secrets.token_urlsafe(50), encoding="ascii")
            made.chmod(0o600)
            _link_once(made, kept)
        except OSError as error:
            stop(
                "AVO_DATA_DIR",
                f"cannot write to {folder}: {error.strerror}. Choose a folder that this user may write to.",
            )
    return kept.read_text(encoding="ascii")


def _make_private(database: Path) -> None:
    """Creates the SQLite file before SQLite would create it readable by every user; its journals inherit the mode.

    A failure is reported by the first connection.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(database, os.O_CREAT | os.O_RDONLY, 0o600))
        for file in (database, *(Path(f"{database}{suffix}") for suffix in ("-wal", "-shm"))):
            if file.exists() and file.stat().st_mode & 0o077:
                file.chmod(0o600)


def is_stored_secret_key(key: str, folder: Path) -> bool:
    """Whether ``key`` is the one stored in ``folder``."""
    kept = folder / "secret_key"
    return kept.exists() and kept.read_text(encoding="ascii") == key


def _link_once(made: Path, kept: Path) -> None:
    try:
        kept.hardlink_to(made)
    except FileExistsError:
        return
    finally:
        made.unlink()


def stop(variable: str, reason: str) -> NoReturn:
    """Ends the process with one line on stderr and status 1."""
    raise SystemExit(f"{variable}: {reason}")

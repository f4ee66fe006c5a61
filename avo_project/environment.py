"""Reads the environment for settings.py; whatever is unusable ends the process with one line."""

import os
import secrets
from pathlib import Path
from typing import NoReturn


def data_dir(default: Path) -> Path:
    """The data folder, made if it is missing."""
    folder = Path(os.environ.get("AVO_DATA_DIR") or default).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        stop(
            "AVO_DATA_DIR",
            f"cannot make {folder}: {error.strerror}. Name a folder that this user may write to.",
        )
    return folder


def kept_secret_key(folder: Path) -> str:
    """The key kept in ``folder``; the first process makes it, and of two that start at once both get the same."""
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
                f"cannot write to {folder}: {error.strerror}. Name a folder that this user may write to.",
            )
    return kept.read_text(encoding="ascii")


def is_kept_secret_key(key: str, folder: Path) -> bool:
    """Whether ``key`` is the one kept in ``folder``."""
    kept = folder / "secret_key"
    return kept.exists() and kept.read_text(encoding="ascii") == key


def _link_once(made: Path, kept: Path) -> None:
    try:
        kept.hardlink_to(made)
    except FileExistsError:
        return
    finally:
        made.unlink()


def stop(variable: str, why: str) -> NoReturn:
    """Ends the process with one line on stderr and status 1."""
    raise SystemExit(f"{variable}: {why}")

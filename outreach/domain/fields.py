"""Checks of single fields of touches and inboxes: texts, header lines and e-mail addresses."""

import re
from collections.abc import Mapping
from typing import Any

import idna

MAX_RECIPIENT_CHARACTERS = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets

# RFC 20 control characters, and other characters that some mail software treats as a line end.
_LINE_BREAKERS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class TouchError(ValueError):
    """A touch that cannot be queued; ``field`` names the invalid field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def header_text(data: Mapping[str, Any], name: str, longest: int, default: str | None = None) -> str:
    """One line of text that is safe in a header field; required without ``default``. Raises TouchError."""
    value = data.get(name)
    if value is None and default is not None:
        return default
    text = plain_text(name, value).strip(" ")
    if not text and default is None:
        raise TouchError(name, "must not be empty")
    if _LINE_BREAKERS.search(text):
        raise TouchError(name, "must be one line without control characters")
    if len(text) > longest:
        raise TouchError(name, f"has {len(text)} characters; at most {longest} are allowed")
    return text


def email_address(name: str, address: str) -> str:
    """``address`` with its domain in lower-case ASCII: IDNA 2008 (RFC 5891) after the mapping of UTS 46, where ß, final
    sigma and joiners stay letters of their own. Raises TouchError for the field ``name``."""
    local, at, domain = address.rpartition("@")
    if not at:
        raise TouchError(name, "is not an e-mail address: it has no @")
    if not local.isascii():
        raise TouchError(name, "has non-ASCII characters before the @, which few mail servers accept")
    if len(local) > 64 or not _LOCAL_PART.fullmatch(local):
        raise TouchError(name, "is not an e-mail address: the part before the @ is malformed")
    wire = f"{local}@{_ascii_domain(name, domain)}"
    if len(wire) > MAX_RECIPIENT_CHARACTERS:
        raise TouchError(
            name, f"has {len(wire)} characters on the wire; at most {MAX_RECIPIENT_CHARACTERS} are allowed"
        )
    return wire


def _ascii_domain(name: str, domain: str) -> str:
    """A domain in ASCII stays as it is: older names exist that IDNA 2008 would not register."""
    try:
        wire = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise TouchError(name, "is not an e-mail address: the domain is not allowed by IDNA 2008") from None
    labels = wire.split(".")
    if (len(labels) < 2 and wire != "localhost") or not all(_LABEL.fullmatch(label) for label in labels):
        raise TouchError(name, "is not an e-mail address: the domain is malformed")
    return wire


def plain_text(name: str, value: object) -> str:
    """A required text that can be encoded. Raises TouchError."""
    if value is None:
        raise TouchError(name, "is missing")
    if not isinstance(value, str):
        raise TouchError(name, f"must be text, not {_json_type(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise TouchError(name, "must not contain a lone surrogate") from None
    return value


def _json_type(value: object) -> str:
    """The JSON name of the value's type."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return "an array" if isinstance(value, list) else "an object"

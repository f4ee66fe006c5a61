"""Quota subjects: their names, and the subject of a caller's address. Pure."""

import re
import socket

_ID = re.compile(r"[A-Za-z0-9_.:|@-]{1,128}")
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](:\d+)?|(?P<four>[\d.]+):\d+")
_SHOWN = 64  # characters of an invalid text in an error
_LONGEST_ADDRESS = 64  # IPv6 with zone, brackets and port
_IPV6_BYTES, _MAPPED = 16, bytes(10) + b"\xff\xff"
_ADDRESS, _BAD_TOKEN, _LOGIN, _LOCAL = "address:", "bad_token:", "login:", "local"
_COUNTED = {4: "32", 6: "64"}  # prefix length of the network that is one subject
_IDS = {
    "user": re.compile(r"\d+|user_[A-Za-z0-9_.:|@-]{1,123}"),
    "org": _ID,
    "actor": _ID,
    "machine": _ID,
    "login": re.compile(r"user:\d+|name:[0-9a-f]{32}"),
}
_HOW_TO_WRITE = "Write user:<id>, org:<id> or address:<address>."


def is_id(text: object) -> bool:
    """Whether ``text`` is valid as a user or organisation id in a subject."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def normal(text: str) -> str:
    """Normalises a subject that an operator entered: a bare Clerk id gets its kind, an address the form of
    ``address_name``. Raises ValueError for an invalid subject.
    """
    text = text.strip()
    if text.startswith((_BAD_TOKEN, f"{_LOGIN}{_ADDRESS}")):
        kind, _, rest = text.partition(":")
        return f"{kind}:{_address_subject(rest)}"
    if text.startswith(_ADDRESS) or _is_network(text):
        return _address_subject(text)
    kind, _, rest = text.partition(":")
    if kind in _IDS and _IDS[kind].fullmatch(rest):
        return text
    if is_id(text) and text.startswith(("user_", "org_")):
        return f"{text.partition('_')[0]}:{text}"
    if kind == "user" and rest:
        raise ValueError(
            f"{rest!r} is not the id of a user. Write the id of Clerk (user_…) or of the account (a number)."
        )
    raise ValueError(f"{text[:_SHOWN]!r} is not a subject. {_HOW_TO_WRITE}")


def applies_to(subject: str) -> str:
    """Describes the callers that share ``subject``."""
    kind, _, rest = subject.partition(":")
    if kind == "address":
        if rest == _LOCAL:
            return "callers without a credential over a unix socket"
        return f"callers without a credential from {rest}" + (", all addresses together" if "/" in rest else "")
    if kind == "user":
        return f"the service account {rest}, with any of its API keys" if rest.isdigit() else f"Clerk's user {rest}"
    if kind == "login":
        return "failed log-ins " + (
            f"from {rest.removeprefix(_ADDRESS)}" if rest.startswith(_ADDRESS) else f"of {rest}"
        )
    words = {"org": "all users of the organisation", "actor": "staff acting for a customer:", "machine": "the machine"}
    return f"{words[kind]} {rest}" if kind in words else f"bad tokens from {rest.removeprefix(_ADDRESS)}"


def _is_network(text: str) -> bool:
    return address_name(text.partition("/")[0]) is not None


def _address_subject(text: str) -> str:
    """Raises ValueError."""
    address, _, length = text.removeprefix(_ADDRESS).partition("/")
    if address == _LOCAL and not length:
        return f"{_ADDRESS}{_LOCAL}"
    name = address_name(address)
    if name is None:
        raise ValueError(f"{address[:_SHOWN]!r} is not an address. {_HOW_TO_WRITE}")
    if length and length != _COUNTED[6 if "/" in name else 4]:
        raise ValueError(
            f"{address}/{length[:_SHOWN]} is not one subject: IPv4 is limited by address and IPv6 by /64. "
            "Add one override for each."
        )
    return f"{_ADDRESS}{name}"


def of_address(peer: str, forwarded_for: str, num_proxies: int) -> str:
    """The subject of an anonymous caller.

    ``num_proxies`` trusted proxies each append one address to ``forwarded_for``. With fewer entries the field is
    ignored and the peer's address applies. An IPv6 host owns a /64, so its subject is the /64. Nothing is cached,
    because callers choose the content of the field.
    """
    named = None
    if num_proxies and forwarded_for:
        entries = forwarded_for.rsplit(",", num_proxies)
        named = address_name(entries[-num_proxies].strip()) if num_proxies <= len(entries) else None
    return f"{_ADDRESS}{named or address_name(peer) or _LOCAL}"


def address_name(text: str) -> str | None:
    """The address of a subject: IPv4 (also if mapped into IPv6), or the /64 of IPv6; None for an invalid address.

    Ignores a zone, and a port as some proxies append it.
    """
    if len(text) > _LONGEST_ADDRESS:
        return None
    if not (packed := _packed(text)):
        bracketed = _WITH_PORT.fullmatch(text)
        packed = _packed((bracketed and (bracketed["six"] or bracketed["four"])) or text.partition("%")[0])
    if len(packed) != _IPV6_BYTES:
        return socket.inet_ntop(socket.AF_INET, packed) if packed else None
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))}/64"


def _packed(text: str) -> bytes:
    """The bytes of an address, empty if invalid. The C library is ten times as fast as ``ipaddress``."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: NUL or non-ASCII
        return b""

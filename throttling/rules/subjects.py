"""Who is counted: the names of quota subjects, and how a caller's address becomes one."""

import re
import socket

_ID = re.compile(r"[A-Za-z0-9_.:|@-]{1,128}")
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](:\d+)?|(?P<four>[\d.]+):\d+")
_LONGEST_ADDRESS = 64  # of an IPv6 address with zone, brackets and port
_IPV6_BYTES, _MAPPED = 16, bytes(10) + b"\xff\xff"
_KINDS = ("user", "org", "actor", "machine", "address", "bad_token")


def is_id(text: object) -> bool:
    """Whether ``text`` can stand in a subject: what Clerk gives as user and organisation ids can."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def normal(text: str) -> str:
    """The subject that an operator means: a bare Clerk id gets its kind. Raises ValueError for anything else."""
    text = text.strip()
    kind, _, rest = text.partition(":")
    if kind in _KINDS and rest:
        return text
    if is_id(text) and text.startswith(("user_", "org_")):
        return f"{text.partition('_')[0]}:{text}"
    raise ValueError(f"{text!r} is not a subject. Write user:<id>, org:<id> or address:<address>.")


def of_address(peer: str, forwarded_for: str, num_proxies: int) -> str:
    """The subject of an anonymous caller.

    ``num_proxies`` trusted proxies each appended one address to ``forwarded_for``; with fewer entries than that
    it was not they who wrote it, and the peer counts. An IPv6 host owns a /64, so that is what is counted.
    Nothing of this is remembered: a caller chooses the header, and each of its texts would be kept.
    """
    named = None
    if num_proxies and forwarded_for:
        entries = forwarded_for.rsplit(",", num_proxies)
        named = address_name(entries[-num_proxies].strip()) if num_proxies <= len(entries) else None
    return f"address:{named or address_name(peer) or 'local'}"


def address_name(text: str) -> str | None:
    """How an address is counted: IPv4 as it is, also inside IPv6, and of IPv6 the /64; None for what is no address.

    A port behind it, as some proxies write, and a zone are left out.
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
    """The bytes of an address, none for what is none. The C library's parser takes a tenth of ``ipaddress``'s time."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # the second for a NUL, or what is no ASCII
        return b""

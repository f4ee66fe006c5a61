"""Who is counted: the names of quota subjects, and how a caller's address becomes one."""

import ipaddress
import re
from functools import lru_cache

_ID = re.compile(r"[A-Za-z0-9_.:|@-]{1,128}")
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


@lru_cache(maxsize=10_000)
def of_address(peer: str, forwarded_for: str, num_proxies: int) -> str:
    """The subject of an anonymous caller.

    ``num_proxies`` trusted proxies each appended one address to ``forwarded_for``; with fewer entries than that
    it was not they who wrote it, and the peer counts. An IPv6 host owns a /64, so that is what is counted.
    """
    entries = [entry.strip() for entry in forwarded_for.split(",")] if forwarded_for else []
    named = _address(entries[-num_proxies]) if 0 < num_proxies <= len(entries) else None
    address = named or _address(peer)
    if address is None:
        return "address:local"
    if isinstance(address, ipaddress.IPv6Address):
        return f"address:{ipaddress.ip_network((int(address) >> 64 << 64, 64))}"
    return f"address:{address}"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address. A port behind it, as some proxies write, is left out."""
    bracketed = re.fullmatch(r"\[(?P<six>[^\]]+)\](:\d+)?|(?P<four>[\d.]+):\d+", text)
    try:
        address = ipaddress.ip_address(
            (bracketed and (bracketed["six"] or bracketed["four"])) or text.partition("%")[0]
        )
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address

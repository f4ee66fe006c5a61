"""The URLs that touches are posted to: https, to a host of the public Internet.

An allow-list of global unicast addresses: what is not in it is refused. Sources: the IANA registries of IPv6 global
unicast space (2000::/3) and of special-purpose addresses (RFC 6890), which are carved out; RFC 6052 for NAT64.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import idna

MAX_URL_CHARACTERS = 500
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a name that ends in one is an IPv4 address (WHATWG URL, 3.5)
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e\x80-\U0010ffff]|\\|\s")

_IPV4_SPECIAL = [
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
    )
]  # fmt: skip
_IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_IPV6_SPECIAL = [
    ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20")
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # how a network without IPv4 reaches public IPv4 addresses


class ForbiddenUrlError(ValueError):
    """A URL that workers must not request; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``host`` in ASCII (IDNA 2008), or an address without brackets."""

    host: str
    port: int


def check_url(url: str, *, allow_private_hosts: bool = False) -> Endpoint:
    """The endpoint of an https URL to a public address or a domain name; names are resolved later, by the sender. With
    ``allow_private_hosts`` also http, private addresses and names without a dot. Raises ForbiddenUrlError."""
    parts, port = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ForbiddenUrlError("the URL must start with https:// and name a host")
    if "@" in parts.netloc:
        raise ForbiddenUrlError("the URL must not hold a user name or a password")
    host = _ascii_host(parts.hostname)
    is_address = _is_address(host)
    if not allow_private_hosts:
        if parts.scheme != "https":
            raise ForbiddenUrlError("the URL must start with https://")
        if is_address and not is_global_unicast(host):
            raise ForbiddenUrlError("the URL's host is not a public address")
        if not is_address and "." not in host.removesuffix("."):
            raise ForbiddenUrlError("the URL's host is not a domain name such as hooks.example.com")
    return Endpoint(host, port or (443 if parts.scheme == "https" else 80))


def is_global_unicast(address: str) -> bool:
    """Whether ``address`` is one of a single host of the public Internet; addresses with a zone never are."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if "%" in address:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in block for block in _IPV4_SPECIAL)
    if parsed in _NAT64:
        return is_global_unicast(str(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)))
    return parsed in _IPV6_GLOBAL and not any(parsed in block for block in _IPV6_SPECIAL)


def _split(url: str) -> tuple[SplitResult, int | None]:
    if len(url) > MAX_URL_CHARACTERS:
        raise ForbiddenUrlError(f"the URL has {len(url)} characters; at most {MAX_URL_CHARACTERS} are allowed")
    if _NOT_IN_A_URL.search(url):
        raise ForbiddenUrlError("the URL must not hold blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise ForbiddenUrlError(f"the URL is malformed: {error}") from None


def _ascii_host(host: str) -> str:
    try:
        return host.lower() if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ForbiddenUrlError("the URL's host is not allowed by IDNA 2008") from None


def _is_address(host: str) -> bool:
    """Whether ``host`` is an address; otherwise it is a name. Raises ForbiddenUrlError for what is neither, such as the
    forms of IPv4 addresses that only some programs read (0177.0.0.1, 127.1, 2130706433)."""
    labels = host.removesuffix(".").split(".")
    if ":" in host or _NUMBER.fullmatch(labels[-1]):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ForbiddenUrlError("the URL's host is not a public address: write four decimal numbers") from None
        return True
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ForbiddenUrlError("the URL's host is not a domain name such as hooks.example.com")
    return False

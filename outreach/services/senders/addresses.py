"""Which addresses an inbox's URL may lead to, so that nobody makes our workers call our own network."""

import ipaddress
import socket

from outreach.domain.inbox_settings import ForbiddenUrlError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def public_address(host: str, port: int) -> str:
    """The one address to connect to. Raises ForbiddenUrlError when any address of ``host`` is not public, OSError when
    it has none."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except UnicodeError:
        raise ForbiddenUrlError("the URL's host is malformed") from None
    for address in found:
        if not is_public(address):
            raise ForbiddenUrlError("the URL leads to a loopback, private or link-local address, which is not allowed")
    return min(found, key=lambda address: (":" in address, address))


def is_public(address: str) -> bool:
    """Whether ``address`` is reachable from everywhere, also when it hides in an IPv6 one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped or parsed.sixtofour:
            parsed = parsed.ipv4_mapped or parsed.sixtofour or parsed
        elif parsed in _NAT64:
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed.is_global and not parsed.is_multicast

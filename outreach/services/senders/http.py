"""Direct messages and retargeting: a POST of JSON to the inbox's URL with an idempotency key."""

import email.utils
import ipaddress
import socket
import time
from typing import Any

import httpx

from avo_project.http.fetch import BoundedClient
from outreach.conf import OutreachConf
from outreach.domain.inbox_settings import ForbiddenUrlError, check_url
from outreach.domain.reservation import SENT, Outcome, Outgoing

# Errors that occur before anything is sent.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_NOW = frozenset({408, 425, 429})
_INBOX_IS_WRONG = frozenset({401, 403})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class HttpSender:
    """Posts touches without redirects or proxies, only to the address it has checked, within a total time limit."""

    def __init__(self, conf: OutreachConf) -> None:
        self._allow_private_hosts = conf.allow_private_hosts
        self._client = BoundedClient(conf.http_timeout_seconds, max_bytes=0, trust_env=False)  # only the status is used

    def send(self, touch: Outgoing) -> Outcome:
        try:
            response = self._client.send(self._request(touch)).response
        except ForbiddenUrlError as error:
            return Outcome("pause", detail=str(error))
        except (*_BEFORE_SENDING, OSError) as error:
            return Outcome("retry", detail=f"cannot connect: {error}", is_inbox_failure=True)
        except httpx.TransportError as error:
            return Outcome(
                "unknown", detail=f"no answer after the message was handed over: {type(error).__name__}: {error}"
            )
        return classify(response, time.time())

    def close(self) -> None:
        self._client.close()

    def _request(self, touch: Outgoing) -> httpx.Request:
        parts = check_url(touch.url)
        host = str(parts.hostname)
        url, extensions = httpx.URL(touch.url), {}
        headers = {"Idempotency-Key": touch.touch_id}
        if not self._allow_private_hosts:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            headers["Host"] = url.netloc.decode("ascii")
            url = url.copy_with(host=public_address(host, port))
            extensions = {"sni_hostname": host}  # TLS still checks the certificate against the name
        return self._client.build_request("POST", url, json=_body(touch), headers=headers, extensions=extensions)


def classify(response: httpx.Response, now: float) -> Outcome:
    """The outcome of a response; ``now`` (Unix seconds) resolves a Retry-After date."""
    code = response.status_code
    detail = f"HTTP {code}"
    if response.is_success:
        return Outcome(SENT.kind, code)
    if code in _NOT_NOW or code >= 500:
        wait = retry_after_seconds(response.headers.get("Retry-After", ""), now)
        return Outcome("retry", code, detail, retry_after_seconds=wait, is_inbox_failure=code >= 500)
    if code in _INBOX_IS_WRONG:
        return Outcome("pause", code, f"{detail}: the receiver rejects this inbox")
    if code == 410:
        return Outcome("suppress", code, f"{detail}: the recipient is gone")
    return Outcome("give_up", code, detail)


def retry_after_seconds(value: str, now: float) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: a number or a date); None when it is invalid."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def _body(touch: Outgoing) -> dict[str, Any]:
    return {
        "id": touch.touch_id,
        "channel": touch.channel,
        "from": touch.sender_address,
        "recipient": touch.recipient,
        "subject": touch.subject,
        "body": touch.body,
        "metadata": touch.metadata,
    }


def public_address(host: str, port: int) -> str:
    """The address to connect to. Raises ForbiddenUrlError if any address of ``host`` is not public, OSError without an
    address."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except UnicodeError:
        raise ForbiddenUrlError("the URL's host is malformed") from None
    for address in found:
        if not is_public(address):
            raise ForbiddenUrlError("the URL resolves to a loopback, private or link-local address: not allowed")
    return min(found, key=lambda address: (":" in address, address))


def is_public(address: str) -> bool:
    """Whether ``address`` is public, including IPv4 addresses embedded in IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped or parsed.sixtofour:
            parsed = parsed.ipv4_mapped or parsed.sixtofour or parsed
        elif parsed in _NAT64:
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed.is_global and not parsed.is_multicast

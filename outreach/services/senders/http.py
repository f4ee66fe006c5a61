"""Direct messages and retargeting: a POST of JSON to the inbox's URL with an idempotency key."""

import email.utils
import socket
import time
from typing import Any

import httpx

from avo_project.http.fetch import BoundedClient
from outreach.conf import OutreachConf
from outreach.domain.endpoint import Endpoint, ForbiddenUrlError, check_url, is_global_unicast
from outreach.domain.reservation import SENT, Outcome, Outgoing

# Errors that occur before anything is sent.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_NOW = frozenset({408, 425, 429})
_INBOX_IS_WRONG = frozenset({401, 403})


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
        endpoint = check_url(touch.url, allow_private_hosts=self._allow_private_hosts)
        try:
            url = httpx.URL(touch.url).copy_with(host=endpoint.host)
        except httpx.InvalidURL as error:
            raise ForbiddenUrlError(f"the URL is malformed: {error}") from None
        headers = {"Idempotency-Key": touch.touch_id}
        extensions = {}
        if not self._allow_private_hosts:
            headers["Host"] = url.netloc.decode("ascii")
            url = url.copy_with(host=public_address(endpoint))
            extensions = {"sni_hostname": endpoint.host}  # TLS still checks the certificate against the name
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


def public_address(endpoint: Endpoint) -> str:
    """The address to connect to. Raises ForbiddenUrlError unless all addresses of the host are global unicast, OSError
    without an address."""
    try:
        found = {
            str(entry[4][0]) for entry in socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        }
    except UnicodeError:
        raise ForbiddenUrlError("the URL's host is malformed") from None
    if not all(map(is_global_unicast, found)):
        raise ForbiddenUrlError("the URL's host has an address that is not public")
    return min(found, key=lambda address: (":" in address, address))

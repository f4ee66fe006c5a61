"""Direct messages and retargeting: a POST of JSON to the inbox's URL with an idempotency key."""

import socket
import time
from typing import Any

import httpx

from avo_project.http.fetch import BoundedClient
from outreach.conf import OutreachConf
from outreach.domain.endpoint import Endpoint, ForbiddenUrlError, check_url, is_global_unicast
from outreach.domain.replies import misconfigured, no_answer, refusal, retry_after_seconds
from outreach.domain.reply_rules import Stage
from outreach.domain.reservation import SENT, Outcome, Outgoing

# Errors that occur before anything is sent.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HttpSender:
    """Posts touches without redirects or proxies, only to the address it has checked, within a total time limit."""

    def __init__(self, conf: OutreachConf) -> None:
        self._allow_private_hosts = conf.allow_private_hosts
        self._client = BoundedClient(conf.http_timeout_seconds, max_bytes=0, trust_env=False)  # only the status is used

    def send(self, touch: Outgoing) -> Outcome:
        try:
            response = self._client.send(self._request(touch)).response
        except ForbiddenUrlError as error:
            return misconfigured(str(error))
        except (*_BEFORE_SENDING, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return misconfigured(f"the receiver's certificate is invalid: {error}")
            return no_answer(f"cannot connect: {error}", handed_over=False)
        except httpx.TransportError as error:
            return no_answer(f"{type(error).__name__}: {error}", handed_over=True)
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
    wait = retry_after_seconds(response.headers.get("Retry-After", ""), now)
    return refusal(Stage.POST, code, "", detail, wait)


def _body(touch: Outgoing) -> dict[str, Any]:
    return {
        "id": touch.touch_id,
        "channel": touch.channel,
        "from": touch.sender_address,
        "recipient": touch.recipient,
        "subject": touch.subject,
        "body": touch.body,
        "metadata": touch.metadata,
        "tags": touch.mail.tags,
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

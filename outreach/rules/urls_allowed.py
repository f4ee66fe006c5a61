"""Which URLs an inbox may have, as far as the text alone tells."""

from urllib.parse import SplitResult, urlsplit


class ForbiddenUrlError(ValueError):
    """A URL that workers must not call; the message says why."""


def check_url(url: str) -> SplitResult:
    """The parts of an http or https URL with a host and no credentials. Raises ForbiddenUrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenUrlError(f"the URL is malformed: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ForbiddenUrlError("the URL must start with http:// or https:// and name a host")
    if parts.username or parts.password:
        raise ForbiddenUrlError("the URL must not hold a user name or a password")
    return parts

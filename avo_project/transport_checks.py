"""``check --deploy`` for the servers that are no Redis: what others could read or answer in their place."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

Apps = Sequence[AppConfig] | None

_ENCRYPTED_MODES = {"require", "verify-ca", "verify-full"}  # libpq's sslmode; "prefer", its default, settles for less


def is_loopback(host: str) -> bool:
    """Whether a host of a URL, with or without brackets, is this machine."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@register(Tags.security, deploy=True)
def token_keys_come_by_https(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Whoever can answer for Clerk signs in as anybody."""
    clerk = settings.THROTTLING
    # An issuer is never this machine; a key set may come from a mirror on it.
    wrong = {
        "CLERK_ISSUER": urlsplit(clerk["CLERK_ISSUER"]).scheme == "http",
        "CLERK_JWKS_URL": _is_readable(clerk["CLERK_JWKS_URL"]),
    }
    hint = "Write it with https://, as Clerk's dashboard shows it."
    return [
        Error(f"{name} begins with http://.", hint=hint, id="avo.E007") for name, is_wrong in wrong.items() if is_wrong
    ]


@register(Tags.security, deploy=True)
def secrets_are_encrypted_on_their_way(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Passwords and mail, what the database holds, and the tokens in unsubscribe links."""
    return [*_mail(), *_database(), *_links()]


def _mail() -> Iterator[CheckMessage]:
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    is_smtp = settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
    if is_smtp and settings.EMAIL_HOST_PASSWORD and not encrypted and not is_loopback(settings.EMAIL_HOST):
        hint = "Write EMAIL_URL with smtp+tls:// (STARTTLS, port 587) or smtp+ssl:// (port 465)."
        yield Caution("EMAIL_URL sends a password without TLS.", hint=hint, id="avo.W011")


def _database() -> Iterator[CheckMessage]:
    database = settings.DATABASES["default"]
    host = unquote(database.get("HOST") or "/")  # a path is that of a unix socket
    is_remote = "postgresql" in database["ENGINE"] and not host.startswith("/") and not is_loopback(host)
    if is_remote and database.get("OPTIONS", {}).get("sslmode") not in _ENCRYPTED_MODES:
        hint = "Add ?sslmode=verify-full to DATABASE_URL, or let nobody else onto the network between them."
        yield Caution("The database may be reached without TLS.", hint=hint, id="avo.W012")


def _links() -> Iterator[CheckMessage]:
    for name, url in (
        ("PUBLIC_URL", settings.OUTREACH["PUBLIC_URL"]),
        ("SIGNALS_ALERT_URL", settings.SIGNALS["ALERT_URL"]),
    ):
        if _is_readable(url):
            yield Caution(f"{name} begins with http://.", hint=f"Write {name} with https://.", id="avo.W013")


def _is_readable(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")

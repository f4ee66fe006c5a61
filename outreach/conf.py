"""The settings of outreach: ``settings.OUTREACH`` over the defaults below, read on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from outreach.domain.channels import CHANNELS


def _senders() -> dict[str, str]:
    return {name: channel.sender for name, channel in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class OutreachConf:
    """``senders``: dotted path of each channel's sender (default: those of CHANNELS). ``public_url``: base URL of the
    unsubscribe links ``/u/<token>``. ``tag_header``: header field that carries a mail's tags over SMTP, such as the
    mail service's ``X-PM-Tag``; empty for none."""

    allow_private_hosts: bool = False
    public_url: str = "http://localhost:8000"
    senders: Mapping[str, str] = field(default_factory=_senders)
    tag_header: str = ""
    retries: int = 30
    retry_base_seconds: float = 300.0
    retry_factor: float = 2.0
    retry_cap_seconds: float = 14_400.0
    hold_base_seconds: float = 3600.0
    smtp_timeout_seconds: float = 30.0
    http_timeout_seconds: float = 10.0
    block_seconds: float = 2.0
    follow_inboxes_seconds: float = 2.0
    sweep_seconds: float = 30.0
    soon_seconds: float = 5.0
    breaker_failures: int = 5
    breaker_base_seconds: float = 30.0
    breaker_cap_seconds: float = 900.0

    @classmethod
    def load(cls) -> Self:
        """Raises ImproperlyConfigured for an unknown setting."""
        names = {spec.name.upper(): spec.name for spec in fields(cls)}
        given: Mapping[str, object] = settings.OUTREACH
        if unknown := given.keys() - names.keys():
            raise ImproperlyConfigured(
                f"OUTREACH: unknown setting {', '.join(sorted(unknown))}; known settings are {', '.join(names)}"
            )
        values: dict[str, Any] = {names[name]: value for name, value in given.items()}
        return cls(**values)

"""The settings of outreach."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from avo_project.runtime.conf import Conf, setting
from outreach.domain.channels import CHANNELS
from outreach.domain.refusals import RefusalLimits
from outreach.domain.retry import HoldPolicy, RetryPolicy


def _senders() -> dict[str, str]:
    return {name: channel.sender for name, channel in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class OutreachConf(Conf):
    """``senders``: dotted path of each channel's sender (default: those of CHANNELS). ``public_url``: base URL of the
    unsubscribe links ``/u/<token>``. ``tag_header``: header field that carries a mail's tags over SMTP, such as the
    mail service's ``X-PM-Tag``; empty for none."""

    NAME = "OUTREACH"

    allow_private_hosts: bool = False
    public_url: str = "http://localhost:8000"
    senders: Mapping[str, str] = field(default_factory=_senders)
    tag_header: str = ""
    retries: int = setting(30, at_least=0)
    retry_base_seconds: float = 300.0
    retry_factor: float = setting(2.0, at_least=1, at_most=100)
    retry_cap_seconds: float = 14_400.0
    smtp_timeout_seconds: float = setting(30.0, at_least=0.1)
    http_timeout_seconds: float = setting(10.0, at_least=0.1)
    block_seconds: float = 2.0
    follow_inboxes_seconds: float = 2.0
    sweep_seconds: float = 30.0
    soon_seconds: float = 5.0
    hold_base_seconds: float = 3_600.0
    hold_cap_seconds: float = 86_400.0
    refused_recipients: int = 5
    refused_contents: int = 2
    breaker_failures: int = 5
    breaker_base_seconds: float = 30.0
    breaker_cap_seconds: float = 3_600.0

    @property
    def refusal_limits(self) -> RefusalLimits:
        return RefusalLimits(self.refused_recipients, self.refused_contents)

    @property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(self.retries, self.retry_base_seconds, self.retry_factor, self.retry_cap_seconds)

    @property
    def hold_policy(self) -> HoldPolicy:
        return HoldPolicy(
            self.breaker_failures,
            self.hold_base_seconds,
            self.hold_cap_seconds,
            self.breaker_base_seconds,
            self.breaker_cap_seconds,
        )

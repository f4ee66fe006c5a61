"""The settings of throttling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avo_project.runtime.conf import Conf, setting
from throttling.domain.policies import Policy, parse_plan_tiers, parse_rates, parse_streams
from throttling.domain.scopes import EVERY_TOKEN, ScopeTable, parse_scopes
from throttling.domain.token_kinds import MIN_BITS, TokenKind

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True, slots=True)
class ClerkConf:
    """Verification settings for Clerk tokens. With ``key`` no key set is fetched."""

    issuer: str
    jwks_url: str
    key: "RSAPublicKey | None"
    authorized_parties: frozenset[str]
    accepted: frozenset[TokenKind] = frozenset({TokenKind.SESSION})


def _plan_tiers(text: str, before: Mapping[str, Any]) -> Mapping[str, str]:
    return parse_plan_tiers(text)


def _rates(text: str, before: Mapping[str, Any]) -> Mapping[str, tuple[Policy, ...]]:
    return parse_rates(text, before["clerk_plan_tiers"].values())


def _streams(text: str, before: Mapping[str, Any]) -> Mapping[str, int]:
    return parse_streams(text, before["rates"])


def _scopes(table: Mapping[str, Sequence[str]], before: Mapping[str, Any]) -> ScopeTable:
    return parse_scopes(table)


def _accepted(names: Sequence[str], before: Mapping[str, Any]) -> frozenset[TokenKind]:
    try:
        return frozenset(map(TokenKind, names))
    except ValueError as error:
        raise ValueError(f"{error}. Write a comma-separated list of {', '.join(TokenKind)}.") from None


@dataclass(frozen=True, slots=True)
class ThrottlingConf(Conf):
    """``streams`` is the number of concurrent live streams per subject and tier, over all processes. ``processes``
    divides every limit while Redis does not answer. A pause or refresh time of None turns the writer or reader off:
    ``override_refresh_seconds`` of the overrides, ``tally_pause_seconds`` of the usage figures,
    ``last_use_pause_seconds`` of the last use of API keys.
    """

    NAME = "THROTTLING"

    clerk_plan_tiers: Mapping[str, str] = setting(variable="CLERK_PLAN_TIERS", raw=str, parse=_plan_tiers)
    rates: Mapping[str, tuple[Policy, ...]] = setting(variable="THROTTLE_RATES", raw=str, parse=_rates)
    streams: Mapping[str, int] = setting(variable="THROTTLE_STREAMS", raw=str, parse=_streams)
    scopes: ScopeTable = setting(raw=Mapping[str, Sequence[str]], parse=_scopes)
    num_proxies: int = setting(0, variable="THROTTLE_NUM_PROXIES", at_least=0)
    processes: int = setting(1, variable="WEB_CONCURRENCY")
    clerk_issuer: str = ""
    clerk_jwks_url: str = ""
    clerk_jwt_key: str = ""
    clerk_authorized_parties: Sequence[str] = ()
    clerk_accepted_tokens: frozenset[TokenKind] = setting(
        frozenset({TokenKind.SESSION}), variable="CLERK_ACCEPTED_TOKENS", raw=Sequence[str], parse=_accepted
    )
    clerk_webhook_secret: str = ""
    override_refresh_seconds: float | None = 2.0
    tally_pause_seconds: float | None = 1.0
    api_key_refresh_seconds: float = 2.0
    last_use_pause_seconds: float | None = 60.0

    @property
    def named_scopes(self) -> list[str]:
        """Scopes that an API key may be restricted to."""
        return [scope for scope in self.scopes.routes if scope != EVERY_TOKEN]

    @property
    def clerk(self) -> ClerkConf | None:
        """None when no Clerk token is accepted. Raises ValueError."""
        issuer = self.clerk_issuer.rstrip("/")
        if not issuer:
            return None
        return ClerkConf(
            issuer=issuer,
            jwks_url=self.clerk_jwks_url or f"{issuer}/.well-known/jwks.json",
            key=_public_key(self.clerk_jwt_key) if self.clerk_jwt_key else None,
            authorized_parties=frozenset(self.clerk_authorized_parties),
            accepted=self.clerk_accepted_tokens,
        )

    @property
    def webhook(self) -> "Webhook | None":
        """None when the webhook route answers 404. Raises ValueError."""
        return _webhook(self.clerk_webhook_secret) if self.clerk_webhook_secret else None

    def problems(self) -> Iterator[str]:
        for name, value in (("CLERK_JWKS_URL", self.clerk_jwks_url), ("CLERK_JWT_KEY", self.clerk_jwt_key)):
            if value and not self.clerk_issuer:
                yield f"CLERK_ISSUER: required because {name} is set. Set it to the `iss` claim of your tokens."
        try:
            self.clerk, self.webhook  # noqa: B018 - reads the key and the secret
        except ValueError as error:
            yield str(error)


def _public_key(pem: str) -> "RSAPublicKey":
    """Imports cryptography only when Clerk is configured. Raises ValueError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_BITS:
        raise ValueError(
            f"CLERK_JWT_KEY: not an RSA public key of {MIN_BITS} bits or more in PEM form. "
            "Copy the key between its BEGIN and END lines, those included."
        )
    return key


def _webhook(secret: str) -> "Webhook":
    """Raises ValueError."""
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    try:
        return Webhook(secret)
    except (ValueError, TypeError, EmptyWebhookSecretError):
        raise ValueError(
            "CLERK_WEBHOOK_SECRET: not a signing secret. Copy it from the endpoint's page; it begins with whsec_."
        ) from None

"""Settings of the throttling app, read on first use and cached."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from throttling.domain.policies import Policy, RatesError, parse_plan_tiers, parse_rates, parse_streams
from throttling.domain.scopes import EVERY_TOKEN, ScopesError, ScopeTable, parse_scopes
from throttling.domain.token_kinds import MIN_BITS, TokenKind

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from standardwebhooks.webhooks import Webhook


class ConfError(ValueError):
    """An invalid setting. The message begins with the name of its variable."""


@dataclass(frozen=True, slots=True)
class ClerkConf:
    """Verification settings for Clerk tokens. With ``key`` no key set is fetched."""

    issuer: str
    jwks_url: str
    key: "RSAPublicKey | None"
    authorized_parties: frozenset[str]
    accepted: frozenset[TokenKind] = frozenset({TokenKind.SESSION})


@dataclass(frozen=True, slots=True)
class ThrottlingConf:
    """Without ``clerk`` no Clerk token is accepted; without ``webhook`` the webhook route answers 404.

    ``streams`` is the number of concurrent live streams per subject and tier, over all processes. ``processes`` divides
    every limit while Redis does not answer.
    """

    rates: Mapping[str, tuple[Policy, ...]]
    plan_tiers: Mapping[str, str]
    num_proxies: int
    clerk: ClerkConf | None
    webhook: "Webhook | None"
    scopes: ScopeTable
    streams: Mapping[str, int]
    processes: int = 1

    @property
    def named_scopes(self) -> list[str]:
        """Scopes that an API key may be restricted to."""
        return [scope for scope in self.scopes.routes if scope != EVERY_TOKEN]


@cache
def load() -> ThrottlingConf:
    """Returns the validated settings. Raises ConfError."""
    given = settings.THROTTLING
    plan_tiers = _read("CLERK_PLAN_TIERS", given, parse_plan_tiers)
    rates = _read("RATES", given, lambda text: parse_rates(text, plan_tiers.values()), variable="THROTTLE_RATES")
    return ThrottlingConf(
        rates=rates,
        streams=_read("STREAMS", given, lambda text: parse_streams(text, rates), variable="THROTTLE_STREAMS"),
        plan_tiers=plan_tiers,
        num_proxies=_num_proxies(given["NUM_PROXIES"]),
        clerk=_clerk(given),
        webhook=_read("CLERK_WEBHOOK_SECRET", given, _webhook) if given["CLERK_WEBHOOK_SECRET"] else None,
        scopes=_read("SCOPES", given, parse_scopes),
        processes=max(1, given.get("PROCESSES", 1)),
    )


def _num_proxies(number: int) -> int:
    if number < 0:
        raise ConfError(
            "THROTTLE_NUM_PROXIES: must be 0 or more. Set it to the number of your own proxies in front of this server."
        )
    return number


def _clerk(given: Mapping[str, Any]) -> ClerkConf | None:
    accepted, issuer = _accepted(given["CLERK_ACCEPTED_TOKENS"]), given["CLERK_ISSUER"].rstrip("/")
    if not issuer:
        for name in ("CLERK_JWKS_URL", "CLERK_JWT_KEY"):
            if given[name]:
                raise ConfError(
                    f"CLERK_ISSUER: required because {name} is set. Set it to the `iss` claim of your tokens."
                )
        return None
    return ClerkConf(
        issuer=issuer,
        jwks_url=given["CLERK_JWKS_URL"] or f"{issuer}/.well-known/jwks.json",
        key=_read("CLERK_JWT_KEY", given, _public_key) if given["CLERK_JWT_KEY"] else None,
        authorized_parties=frozenset(given["CLERK_AUTHORIZED_PARTIES"]),
        accepted=accepted,
    )


def _accepted(names: Iterable[str]) -> frozenset[TokenKind]:
    try:
        return frozenset(map(TokenKind, names))
    except ValueError as error:
        raise ConfError(
            f"CLERK_ACCEPTED_TOKENS: {error}. Write a comma-separated list of {', '.join(TokenKind)}."
        ) from None


def _public_key(pem: str) -> "RSAPublicKey":
    """Imports cryptography only when Clerk is configured. Raises ValueError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (TypeError, UnsupportedAlgorithm) as unusable:
        raise ValueError(str(unusable)) from None
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_BITS:
        raise ValueError("too short, or for another algorithm")
    return key


def _webhook(secret: str) -> "Webhook":
    """Raises ValueError."""
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    try:
        return Webhook(secret)
    except (TypeError, EmptyWebhookSecretError) as unusable:
        raise ValueError(str(unusable)) from None


_WHAT_TO_WRITE = {
    "CLERK_JWT_KEY": f"not an RSA public key of {MIN_BITS} bits or more in PEM form. "
    "Copy the key between its BEGIN and END lines, those included.",
    "CLERK_WEBHOOK_SECRET": "not a signing secret. Copy it from the endpoint's page; it begins with whsec_.",
}


def _read(name: str, given: Mapping[str, Any], parse: Callable[[Any], Any], variable: str = "") -> Any:
    try:
        return parse(given[name])
    except (RatesError, ScopesError) as error:
        raise ConfError(f"{variable or name}: {error}") from None
    except (ValueError, TypeError):
        raise ConfError(f"{name}: {_WHAT_TO_WRITE[name]}") from None

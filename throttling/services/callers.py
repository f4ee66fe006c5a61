"""Callers, their plans and their quotas."""

import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from prometheus_client import Counter

from throttling.conf import ThrottlingConf
from throttling.domain.clerk_token import Identity
from throttling.domain.policies import (
    ANONYMOUS,
    BAD_TOKEN,
    FAILED_LOGIN,
    FREE,
    INSTITUTIONAL,
    Policy,
    quota_plan,
    tier_of,
)
from throttling.domain.subjects import of_address
from throttling.domain.token_kinds import TokenKind
from throttling.models import PlanChange
from throttling.services.overrides import Overrides

Meta = MutableMapping[str, Any]
logger = logging.getLogger(__name__)


def current_plan(subject: str) -> str | None:
    """The most recently activated plan of ``subject`` that has not ended; None also when the database fails."""
    changes = PlanChange.objects.filter(subject=subject).order_by("event_at", "pk").values_list("plan", "is_active")
    active: dict[str, None] = {}
    try:
        for plan, is_active in changes:
            active.pop(plan, None)
            if is_active:
                active[plan] = None
    except DatabaseError as failure:
        logger.warning("cannot read plans, treating %s as having none: %s", subject, failure)
    return next(reversed(active), None)


UNKNOWN_PLANS = Counter(
    "avo_throttle_unknown_plan", "Tokens with a plan that is not in CLERK_PLAN_TIERS; limited as free"
)


@dataclass(frozen=True, slots=True)
class Quota:
    """The tier and policies of one subject, and ``why`` they apply."""

    subject: str
    tier: str
    policies: tuple[Policy, ...]
    why: str


@dataclass(frozen=True, slots=True)
class ClerkUser:
    """A caller with a verified Clerk token. It has no row in the user table and no Django permissions.

    ``request.auth`` is its identity. A long-lived response must end at ``request.auth.valid_until``.
    """

    identity: Identity
    subject: str
    tier: str
    why: str

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __str__(self) -> str:
        return self.subject

    @property
    def pk(self) -> str:
        return self.identity.user_id

    @property
    def username(self) -> str:
        return self.identity.user_id

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        return False

    def has_perms(self, permissions: Any, obj: Any = None) -> bool:
        return False


def clerk_user(
    identity: Identity, plan_tiers: Mapping[str, str], stored_plan: Callable[[str], str | None]
) -> ClerkUser:
    """The caller for a verified ``identity``.

    The plan comes from the token. A token without plans (version 1) gets the plan that Clerk last reported for its
    organisation or user, read by ``stored_plan``. An impersonator has a quota of its own.
    """
    subject, slug, why = _plan_of(identity, stored_plan)
    tier = tier_of(slug, plan_tiers) if slug else FREE
    if slug and slug not in plan_tiers:
        UNKNOWN_PLANS.inc()
        why = f"unknown {why}"
    if identity.impersonator:
        return ClerkUser(identity, f"actor:{identity.impersonator}", tier, f"acts for {identity.user_id}")
    return ClerkUser(identity, subject, tier, why)


def _plan_of(identity: Identity, stored_plan: Callable[[str], str | None]) -> tuple[str, str | None, str]:
    if identity.kind is TokenKind.M2M:
        return f"machine:{identity.user_id}", None, "machine token"
    user, organization = f"user:{identity.user_id}", f"org:{identity.organization_id}"
    if identity.plans is not None:
        plan = quota_plan(list(identity.plans), identity.organization_id)
        if plan is None:
            return user, None, "no plan in the token"
        return (organization if plan.scope == "o" else user), plan.slug, f"plan {plan.slug} in the token"
    for subject in (organization, user) if identity.organization_id else (user,):
        if slug := stored_plan(subject):
            return subject, slug, f"plan {slug} reported by Clerk"
    return user, None, "no plan known"


class Quotas:
    """Resolves the quota that a request is charged to, from its caller and the META of its request."""

    def __init__(self, conf: ThrottlingConf, overrides: Overrides) -> None:
        self._conf, self._overrides = conf, overrides

    def of(self, meta: Meta, user: Any) -> Quota:
        """The quota of a caller, with the override of its subject if there is one."""
        subject, tier, why = self._caller(meta, user)
        override = self._overrides.find(subject)
        if override:
            return Quota(subject, override.tier or tier, override.policies, f"override: {override.reason}")
        return Quota(subject, tier, self._conf.rates[tier], why)

    def bad_token(self, meta: Meta) -> Quota:
        """The quota of bad tokens from the request's address."""
        return Quota(f"bad_token:{self._address(meta)}", BAD_TOKEN, self._conf.rates[BAD_TOKEN], "bad token")

    def failed_login(self, meta: Meta, account: str) -> list[Quota]:
        """The quotas of failed log-ins: of ``account``, and of the request's address."""
        policies = self._conf.rates[FAILED_LOGIN]
        subjects = (f"login:{account}", f"login:{self._address(meta)}")
        return [Quota(subject, FAILED_LOGIN, policies, "failed log-ins") for subject in subjects]

    def _caller(self, meta: Meta, user: Any) -> tuple[str, str, str]:
        if isinstance(user, ClerkUser):
            return user.subject, user.tier, user.why
        if user is not None and user.is_authenticated:
            return f"user:{user.pk}", INSTITUTIONAL, "service account"
        return self._address(meta), ANONYMOUS, "not signed in"

    def _address(self, meta: Meta) -> str:
        peer, forwarded_for = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
        return of_address(peer, forwarded_for, self._conf.num_proxies)

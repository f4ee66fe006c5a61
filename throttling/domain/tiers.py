"""From a plan to a tier: Clerk's plan claim and the names of CLERK_PLAN_TIERS. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from throttling.domain.policies import FREE
from throttling.domain.subjects import is_id


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry of the ``pla`` claim: ``scope`` is ``u`` (counts per user) or ``o`` (per organisation)."""

    scope: str
    slug: str


def parse_plans(claim: str) -> list[Plan]:
    """The plans in ``u:free_user`` or ``u:free_user,o:pro``; entries that are neither are left out."""
    pairs = [entry.strip().partition(":") for entry in claim.split(",")]
    return [Plan(scope, slug) for scope, _, slug in pairs if scope in ("u", "o") and is_id(slug)]


def quota_plan(plans: list[Plan], organization_id: str | None) -> Plan | None:
    """The plan that counts: the organisation's while one is active, else the user's own."""
    usable = [plan for plan in plans if plan.scope == "u" or organization_id]
    return next((plan for plan in usable if plan.scope == "o"), usable[0] if usable else None)


def tier_of(slug: str, plan_tiers: Mapping[str, str]) -> str:
    """The tier of a plan; an unknown plan is free."""
    return plan_tiers.get(slug, FREE)

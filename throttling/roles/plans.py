"""The plans that Clerk reported, in the order in which they happened."""

import logging

from django.db import DatabaseError

from throttling.models import PlanChange

logger = logging.getLogger(__name__)


def current_plan(subject: str) -> str | None:
    """The plan of ``subject`` that became active last and has not ended since; None too when the database is away."""
    changes = PlanChange.objects.filter(subject=subject).order_by("event_at", "pk").values_list("plan", "is_active")
    active: dict[str, None] = {}
    try:
        for plan, is_active in changes:
            active.pop(plan, None)
            if is_active:
                active[plan] = None
    except DatabaseError as failure:
        logger.warning("plans cannot be read, so %s counts as without one: %s", subject, failure)
    return next(reversed(active), None)

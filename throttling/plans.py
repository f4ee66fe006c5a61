"""The plans that Clerk reported, in the order in which they happened."""

from throttling.models import PlanChange


def current_plan(subject: str) -> str | None:
    """The plan of ``subject`` that became active last and has not ended since."""
    active: dict[str, None] = {}
    for plan, is_active in (
        PlanChange.objects.filter(subject=subject).order_by("event_at", "pk").values_list("plan", "is_active")
    ):
        active.pop(plan, None)
        if is_active:
            active[plan] = None
    return next(reversed(active), None)

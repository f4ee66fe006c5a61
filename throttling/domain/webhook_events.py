"""Parsing of Clerk billing events into plan changes. Pure.

Shapes as in Clerk's reference of billing webhooks: ``subscriptionItem.*`` carries one plan and its payer,
``subscription.*`` the payer and all items.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from throttling.domain.subjects import is_id

_STARTED = ("active", "past_due")  # past_due stays active until Clerk ends it
_ENDED = ("ended", "abandoned", "expired", "incomplete")


_TYPE = re.compile(r"[A-Za-z0-9_.]{1,60}")
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")  # 32 bytes of HMAC-SHA256


class EventError(ValueError):
    """A signed event without a required field. The message names the field."""


@dataclass(frozen=True, slots=True)
class PlanEvent:
    """``plan`` of ``subject`` became active or ended at ``at`` (Unix seconds)."""

    subject: str
    plan: str
    is_active: bool
    event_type: str
    at: float


def usable_signatures(header: str) -> str:
    """The entries of a signature field with the supported scheme, without the others."""
    return " ".join(entry for entry in header.split(" ") if _SIGNATURE.fullmatch(entry))


def read_event(event: Any, sent_at: float) -> list[PlanEvent]:
    """The plan changes in ``event``; empty for other events.

    Times after ``sent_at`` (Unix seconds) are reduced to it: a future time would outlast every later change.
    Raises EventError.
    """
    if not isinstance(event, dict) or not isinstance(event.get("type"), str) or not _TYPE.fullmatch(event["type"]):
        raise EventError("The event has no type, or one that is not a name like subscription.updated.")
    kind, data = event["type"], event.get("data")
    if not kind.startswith(("subscription.", "subscriptionItem.")):
        return []
    if not isinstance(data, dict):
        raise EventError("The event has no data.")
    items = data.get("items", []) if kind.startswith("subscription.") else [data]
    if not isinstance(items, list):
        raise EventError("The event's items are not a list.")
    subject, at = _payer(data), min(_happened_at(event, data), sent_at)
    changes = [(_plan(item), item.get("status")) for item in items if isinstance(item, dict)]
    return [
        PlanEvent(subject, plan, status in _STARTED, kind, at)
        for plan, status in changes
        if plan and status in (*_STARTED, *_ENDED)
    ]


def _payer(data: Mapping[str, Any]) -> str:
    payer = data.get("payer")
    if isinstance(payer, dict):
        for kind, name in (("org", "organization_id"), ("user", "user_id")):
            if is_id(payer.get(name)):
                return f"{kind}:{payer[name]}"
    raise EventError("The event names no payer.")


def _happened_at(event: Mapping[str, Any], data: Mapping[str, Any]) -> float:
    """Clerk writes times in Unix milliseconds."""
    for value in (event.get("timestamp"), data.get("updated_at")):
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1e14:
            return value / 1000
    raise EventError("The event does not say when it happened.")


def _plan(item: Mapping[str, Any]) -> str | None:
    plan = item.get("plan")
    slug = plan.get("slug") if isinstance(plan, dict) else None
    return slug if isinstance(slug, str) and is_id(slug) and len(slug) <= 100 else None

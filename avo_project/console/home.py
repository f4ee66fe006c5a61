"""The system status on the admin's first page: a health card for each role that the user may view."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from avo_project.console.panels import Fragment
from avo_project.console.registry import UNREACHABLE, HealthStatus, Level, RoleConsole, consoles
from avo_project.redis_client.monitoring import SERVER_PINGER

logger = logging.getLogger(__name__)

_WORDS = {
    Level.GREEN: ("✓", "Healthy"),
    Level.AMBER: ("!", "Warning"),
    Level.RED: ("✕", "Critical"),
}


@dataclass(frozen=True, slots=True)
class Card:
    """The health of one role and the URL of its page."""

    title: str
    url: str
    health: HealthStatus

    @property
    def icon(self) -> str:
        return _WORDS[self.health.level][0]

    @property
    def word(self) -> str:
        return _WORDS[self.health.level][1]


def visible_roles(user: Any) -> list[RoleConsole]:
    return [console for console in consoles() if user.has_perm(console.permission)]


def cards(roles: Sequence[RoleConsole], now: float) -> list[Card]:
    """The cards of ``roles`` at ``now`` (Unix seconds). An unavailable role is red and does not delay the others."""
    failures = SERVER_PINGER.failures([role.alias for role in roles], settings.CONSOLE["PING_SECONDS"])
    return [Card(role.title, reverse(f"admin:{role.page}"), _health(role, failures[role.alias], now)) for role in roles]


def card_fragments(roles: Sequence[RoleConsole], now: float) -> list[Fragment]:
    """The cards as ready HTML."""
    return [
        Fragment(f"card-{role.role}", role.title, render_to_string("admin/health_card.html", {"card": card}))
        for role, card in zip(roles, cards(roles, now), strict=True)
    ]


def _health(role: RoleConsole, failure: str, now: float) -> HealthStatus:
    if failure:
        return _down(f"Redis is unavailable: {failure}")
    try:
        return role.health(now)
    except UNREACHABLE as error:
        return _down(f"The health check failed: {error}")
    except Exception:
        logger.exception("the health status of %s", role.role)  # the other roles' cards are needed all the more
        return _down("Its health check failed with an internal error; see the log.")


def _down(message: str) -> HealthStatus:
    return HealthStatus(Level.RED, "unknown", message)

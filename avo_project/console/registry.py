"""Registry of the operator console: each role's title, page, health status, charts and explanations.

An app names its RoleConsole in its RoleConfig; the console knows no role by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from django.db import DatabaseError
from redis.exceptions import RedisError

from avo_project.observability.sampler import SampleSource
from avo_project.runtime.role_config import declared

UNREACHABLE = (RedisError, DatabaseError)

PAYLOAD = "payload"
"""Part of the codename of every permission to see recipients and contents."""


class Level(StrEnum):
    """Health levels of a role: healthy, warning, critical."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """The health of a role. ``message`` explains the level, ``link`` points to the affected part of the role's page, as
    a query or a fragment."""

    level: Level
    figure: str
    message: str
    link: str = "#avo-live"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; a ``name`` that ends in ``*`` matches every figure with that prefix."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a role knows about one id: its state in a headline, the reasons for it, and the facts behind them."""

    kind: str
    subject: str
    headline: str
    because: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


HasPermission = Callable[[str], bool]
"""Whether the user has a permission (``app.codename``)."""


@dataclass(frozen=True, slots=True)
class RoleConsole:
    """``model`` names the model (``app_label.model``) whose admin page and view permission are those of the role.

    ``samples`` are the figures of its charts, ``health`` returns the status at a time in Unix seconds, ``explain``
    yields what the role knows about an id. All three may raise RedisError or DatabaseError.
    """

    samples: SampleSource
    title: str
    model: str
    health: Callable[[float], HealthStatus]
    charts: Sequence[Chart]
    explain: Callable[[str, HasPermission], Iterable[Answer]] = lambda of, has_permission: ()

    @property
    def page(self) -> str:
        """The URL name of the role's admin page."""
        return f"{self.model.replace('.', '_')}_changelist"

    @property
    def permission(self) -> str:
        """The permission to view anything of the role."""
        return self.model.replace(".", ".view_")

    @property
    def role(self) -> str:
        return self.samples.role

    @property
    def alias(self) -> str:
        return self.samples.alias


def consoles(roles: Iterable[str] = ()) -> list[RoleConsole]:
    """The consoles of ``roles``, of all when none is named. Raises KeyError for an unknown role."""
    return list(declared("console", roles).values())

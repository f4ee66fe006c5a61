"""What each role tells the console: figures to keep, how it stands, and why something is as it is.

An app registers where its RoleConsole is when it gets ready; nobody else knows the four of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from django.db import DatabaseError
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from avo_project.observability.sources import SampleSource

UNREACHABLE = (RedisError, DatabaseError)

PAYLOAD = "payload"
"""Part of the codename of every permission to see recipients and contents."""


class Level(StrEnum):
    """How a role stands: nothing to do, look at it today, act now."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """``figure`` is the one that matters, ``why`` a sentence about the level, ``where`` the place of what it speaks of
    on the role's page, as a query or a fragment."""

    level: Level
    figure: str
    why: str
    where: str = "#avo-live"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; a ``name`` that ends in ``*`` stands for every figure that begins so."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Answer:
    """Why something is so: what it is, the sentences that lead there, and the facts they rest on."""

    kind: str
    subject: str
    headline: str
    because: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


May = Callable[[str], bool]
"""Whether the asker has a permission (``app.codename``)."""


@dataclass(frozen=True, slots=True)
class RoleConsole:
    """``page`` is the URL name of the role's admin page, ``permission`` what one needs to see anything of it.

    ``samples`` are the figures of its charts, ``verdict`` judges at a time in Unix seconds, ``explain`` answers for
    what it knows and returns nothing for what it does not; all of them may raise RedisError or DatabaseError.
    """

    samples: SampleSource
    title: str
    page: str
    permission: str
    verdict: Callable[[float], HealthStatus]
    charts: Sequence[Chart]
    explain: Callable[[str, May], Iterable[Answer]] = lambda of, may: ()

    @property
    def role(self) -> str:
        return self.samples.role

    @property
    def alias(self) -> str:
        return self.samples.alias


_paths: dict[str, str] = {}


def register_console(role: str, path: str) -> None:
    """``path`` names the role's RoleConsole, which is loaded when somebody looks at it."""
    _paths[role] = path


def consoles(roles: Iterable[str] = ()) -> list[RoleConsole]:
    """Those of ``roles``, of all when none is named. Raises KeyError for a role that there is not."""
    return [import_string(_paths[role]) for role in roles or _paths]

"""Scopes and the routes that they allow. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

EVERY_TOKEN = "*"  # noqa: S105 - the entry for routes that every token may use
_SAFE = ("HEAD", "OPTIONS")


class ScopesError(ValueError):
    """An invalid scope table. The message names the entry."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a path and on everything below it."""

    method: str
    path: str

    def matches(self, method: str, path: str) -> bool:
        return method == self.method and f"{path}/".startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True)
class ScopeTable:
    """Routes by scope. A route without an entry is forbidden to every token with scopes."""

    routes: Mapping[str, tuple[Route, ...]]

    def needed(self, method: str, path: str) -> frozenset[str]:
        """The scopes of which any one allows the route."""
        asked = "GET" if method in _SAFE else method
        return frozenset(
            scope for scope, routes in self.routes.items() if any(one.matches(asked, path) for one in routes)
        )


def parse_scopes(table: Mapping[str, Iterable[str]]) -> ScopeTable:
    """Reads ``{"signals:read": ("GET /api/signals",)}``. Raises ScopesError."""
    return ScopeTable({scope: tuple(_route(scope, text) for text in routes) for scope, routes in table.items()})


def _route(scope: str, text: str) -> Route:
    method, _, path = text.partition(" ")
    if not method.isupper() or not path.startswith("/"):
        raise ScopesError(f"{scope}: {text!r} is not a route. Write it like GET /api/signals.")
    return Route(method, path.rstrip("/"))

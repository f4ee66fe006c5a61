"""Redis users of the roles, from the tables ``ACL`` of each app's ``keys``."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from avo_project import keys
from avo_project.redis_client.roles import ROLES
from avo_project.redis_client.urls import RedisTarget

# For every connection: the connection category (some of its commands are newer than Redis 7.0), INFO, and the slots of
# a cluster.
_CONNECTION = ("+@connection", "-@admin", "-@dangerous")
_BASE = ("cluster|nodes", "cluster|shards", "cluster|slots", "info")


@dataclass(slots=True)
class RedisUser:
    """One Redis user. ``patterns`` are globs of key names, ``commands`` are like ``xgroup|create``. Without
    ``password_digests`` (SHA-256) the user cannot log in."""

    name: str
    commands: set[str] = field(default_factory=lambda: {*_BASE, *keys.ACL[1].split()})
    patterns: set[str] = field(default_factory=lambda: {*keys.ACL[0].split()})
    password_digests: set[str] = field(default_factory=set)

    def rule(self) -> str:
        """The user's line of an ACL file (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/)."""
        return " ".join(
            [
                f"user {self.name} on sanitize-payload",
                *(f"#{digest}" for digest in sorted(self.password_digests)),
                "resetkeys resetchannels",
                *(f"~{pattern}" for pattern in sorted(self.patterns)),
                "-@all",
                *_CONNECTION,
                *(f"+{command}" for command in sorted(self.commands)),
            ]
        )


def acl_file(targets: Mapping[str, RedisTarget]) -> str:
    """The ACL file for all roles. ``targets`` maps each alias to its URL's target, with user name and password.

    Roles with the same user name share their permissions. Without a name in its URL a role's user has the role's name.
    """
    users: dict[str, RedisUser] = {}
    tables = _tables()
    for role in ROLES:
        target, (patterns, commands) = targets[role.alias], tables[role.alias]
        name = (target.password and target.username) or role.alias
        user = users.setdefault(name, RedisUser(name if name != "default" else "cache"))
        user.commands.update(commands.split())
        user.patterns.update(patterns.split())
        if target.password and target.username:
            user.password_digests.add(hashlib.sha256(target.password.encode()).hexdigest())
    return "\n".join(["user default off resetkeys resetchannels -@all", *(user.rule() for user in users.values()), ""])


def _tables() -> dict[str, tuple[str, str]]:
    """Alias to its key patterns and commands, each separated by spaces."""
    found: dict[str, tuple[str, str]] = {}
    for config in apps.get_app_configs():
        if find_spec(f"{config.name}.keys") and config.name != "avo_project":
            found.update(import_module(f"{config.name}.keys").ACL)
    return found

"""Redis users for the roles, each with the commands and keys that its code uses and nothing else."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from avo_project.redis_client.clients import ROLES
from avo_project.redis_client.urls import RedisTarget
from avo_project.redis_client.usage import Usage, usage_by_alias

# Of every connection: its own name and the like (some commands of it are younger than Redis 7.0, so the category), how
# the server is, and where keys live on a cluster.
_CONNECTION = ("+@connection", "-@admin", "-@dangerous")
_BASE = {"info", "cluster|slots", "cluster|shards"}
# An operator's, whatever the code may try: the configuration holds passwords.
_NEVER = {"config|get"}


@dataclass(slots=True)
class RedisUser:
    """``password_digests`` are SHA-256; with none nobody can log in."""

    name: str
    usage: Usage = field(default_factory=Usage)
    password_digests: set[str] = field(default_factory=set)

    def rule(self) -> str:
        """The user's line of an ACL file (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/)."""
        commands = sorted((self.usage.commands | _BASE) - _NEVER)
        return " ".join(
            [
                f"user {self.name} on sanitize-payload",
                *(f"#{digest}" for digest in sorted(self.password_digests)),
                "resetkeys resetchannels",
                *(f"~{pattern}" for pattern in sorted(self.usage.patterns)),
                "-@all",
                *_CONNECTION,
                *(f"+{command}" for command in commands),
            ]
        )


def acl_file(targets: Mapping[str, RedisTarget]) -> str:
    """The file for all roles. ``targets``: alias to where its URL leads; its user name and password are taken over.

    Two roles of one user name share what they may. Without a name in its URL a role's user is called as the role.
    """
    users: dict[str, RedisUser] = {}
    usages = usage_by_alias()
    for role in ROLES:
        target, usage = targets[role.alias], usages.get(role.alias, Usage())
        name = (target.password and target.username) or role.alias
        user = users.setdefault(name, RedisUser(name if name != "default" else "cache"))
        user.usage.commands |= usage.commands
        user.usage.patterns |= usage.patterns
        if target.password and target.username:
            user.password_digests.add(hashlib.sha256(target.password.encode()).hexdigest())
    return "\n".join(["user default off resetkeys resetchannels -@all", *(user.rule() for user in users.values()), ""])

"""The Redis roles: one django-redis alias per role, each with its own URL variable and timeouts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avo_project.embedded_redis.folder import ServerFolder
from avo_project.redis_client.urls import RedisUrlError, parse_redis_url, unix_socket_url


@dataclass(frozen=True, slots=True)
class RedisRole:
    """One django-redis alias: the variable of its URL and its timeouts in seconds. The time of a blocking read is added
    to the socket timeout."""

    alias: str
    variable: str
    socket_timeout_seconds: float
    connect_timeout_seconds: float = 2.0

    def for_requests(self) -> "RedisRole":
        """The role with the timeouts of a web process: a caller gets its 503 within 2 s, although a request may wait
        for two roles (and for throttling, whose timeouts are shorter anyway)."""
        return replace(
            self,
            socket_timeout_seconds=min(_REQUEST_SECONDS, self.socket_timeout_seconds),
            connect_timeout_seconds=min(_REQUEST_SECONDS, self.connect_timeout_seconds),
        )


_REQUEST_SECONDS = 0.7
DEFAULT_MAX_CONNECTIONS = 64  # of a role in a process, to each of its servers

ROLES = (
    RedisRole("default", "CACHE_REDIS_URL", socket_timeout_seconds=1.0),
    RedisRole("regime", "REGIME_REDIS_URL", socket_timeout_seconds=5.0),
    RedisRole("signals", "SIGNALS_REDIS_URL", socket_timeout_seconds=5.0),
    RedisRole("outreach", "OUTREACH_REDIS_URL", socket_timeout_seconds=5.0),
    RedisRole("throttling", "THROTTLING_REDIS_URL", socket_timeout_seconds=0.1, connect_timeout_seconds=0.1),
)


def cache_settings(
    environment: Mapping[str, str],
    data_dir: Path,
    *,
    serves_requests: bool = False,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
) -> dict[str, dict[str, Any]]:
    """Django's CACHES: one alias per role, from its own variable, else REDIS_URL, else the embedded server.

    Raises RedisUrlError, which names the variable and hides the password.
    """
    roles = [role.for_requests() if serves_requests else role for role in ROLES]
    return {role.alias: _alias(role, environment, data_dir, max_connections) for role in roles}


def _alias(role: RedisRole, environment: Mapping[str, str], data_dir: Path, max_connections: int) -> dict[str, Any]:
    variable = role.variable if environment.get(role.variable) else "REDIS_URL"
    url = environment.get(variable, "")
    options: dict[str, Any] = {
        "CONNECTION_FACTORY": "avo_project.redis_client.clients.RoleConnectionFactory",
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "ROLE": role,
        "MAX_CONNECTIONS": max_connections,
    }
    if url:
        try:
            parse_redis_url(url)
        except RedisUrlError as error:
            raise RedisUrlError(f"{variable}: {error}") from None
    else:
        options["EMBEDDED_DATA_DIR"] = str(data_dir)
        url = unix_socket_url(ServerFolder.of(data_dir).socket_path)
    # A list, because django-redis splits a plain string at its commas.
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": [url], "OPTIONS": options, "KEY_PREFIX": "avo"}

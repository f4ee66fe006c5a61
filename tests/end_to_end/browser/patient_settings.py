"""The project's settings for a machine that does much else: no page gives a Redis up that is merely slow."""

from dataclasses import replace

from avo_project.settings import *  # noqa: F403 - all of them
from avo_project.settings import CACHES, CONSOLE

_ROLE = CACHES["throttling"]["OPTIONS"]["ROLE"]
CACHES["throttling"]["OPTIONS"]["ROLE"] = replace(_ROLE, socket_timeout_seconds=10.0, connect_timeout_seconds=10.0)
CONSOLE["PING_SECONDS"] = 10.0

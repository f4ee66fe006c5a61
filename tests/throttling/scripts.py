"""Scripts over a DownRedis: down when it is."""

from dataclasses import dataclass
from typing import Any

from tests.doubles import DownRedis


@dataclass
class _Script:
    redis: DownRedis
    script: Any

    @property
    def sha(self) -> str:
        return str(self.script.sha)

    def __call__(self, keys: Any, args: Any) -> Any:
        return self.script(keys, args, client=self.redis)


class Scripts:
    """A client whose registered scripts fail as the DownRedis does."""

    def __init__(self, redis: DownRedis) -> None:
        self._redis = redis

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    def register_script(self, text: str) -> Any:
        return _Script(self._redis, self._redis.client.register_script(text))

"""Scripts over a DownRedis: down when it is."""

from typing import Any

from tests.doubles import DownRedis


class Scripts:
    """A client whose registered scripts fail as the DownRedis does."""

    def __init__(self, redis: DownRedis) -> None:
        self._redis = redis

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    def register_script(self, text: str) -> Any:
        script = self._redis.client.register_script(text)

        def call(keys: Any, args: Any) -> Any:
            self._redis.evalsha  # noqa: B018 - raises when it is down
            return script(keys, args)

        return call

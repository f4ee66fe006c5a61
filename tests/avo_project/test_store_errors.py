"""A failure of a store in one line: which store, why, and what to do."""

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

from avo_project.redis_client.errors import store_errors_as_command_error


@pytest.mark.parametrize(
    ("failure", "whose"),
    [
        (RedisConnectionError("no\nanswer"), "the Redis of the role outreach failed: no. Again."),
        (RedisConnectionError(), "the Redis of the role outreach failed: ConnectionError. Again."),
        (RedisClusterException("no slot."), "the Redis of the role outreach failed: no slot. Again."),
        (OperationalError("no such table: x"), "the database failed: no such table: x. Again."),
    ],
)
def test_a_failure_is_told_in_one_line(failure: Exception, whose: str) -> None:
    with pytest.raises(CommandError) as said, store_errors_as_command_error("outreach", "Again."):
        raise failure
    assert str(said.value) == whose


def test_no_secret_is_told() -> None:
    with pytest.raises(CommandError) as said, store_errors_as_command_error("regime", ""):
        raise RedisConnectionError("cannot reach redis://user:hunter2@host")
    assert "hunter2" not in str(said.value)


def test_what_is_no_store_is_not_told_of() -> None:
    with pytest.raises(ValueError, match="mine"), store_errors_as_command_error("regime", "Again."):
        raise ValueError("mine")

from typing import Any

from regime.admin.console import health
from regime.services.inspection import recent_figures
from regime.store.keyspace import KeySample
from tests.regime.states import plain_hset


def _some_states(redis: Any, states: int, without_ttl: int) -> None:
    for n in range(states):
        plain_hset(redis, f"S{n}", {"bull:1w": "0.5"}, None if n < without_ttl else 600)


def test_a_small_key_space_is_counted(redis: Any) -> None:
    _some_states(redis, 57, 27)
    for n in range(40):
        redis.set(f"other:{n}", 1)
    sample = KeySample(redis).take(200)
    assert (sample.states, sample.states_estimated) == (57, 57)
    assert (sample.without_ttl, sample.without_ttl_estimated, sample.is_exact) == (27, 27, True)


def test_a_large_key_space_is_estimated(redis: Any) -> None:
    _some_states(redis, 57, 57)
    sample = KeySample(redis).take(20)
    assert (sample.states, sample.states_estimated) == (20, 57)
    assert (sample.without_ttl, sample.without_ttl_estimated, sample.is_exact) == (20, 57, False)


def test_an_empty_key_space_is_counted(redis: Any) -> None:
    sample = KeySample(redis).take(20)
    assert (sample.states_estimated, sample.without_ttl_estimated, sample.is_exact) == (0, 0, True)


def test_the_page_says_what_the_newest_count_says(operator_client: Any, redis: Any) -> None:
    _some_states(redis, 57, 40)
    operator_client.get("/admin/regime/regimecache/")
    redis.delete("avo:{history}:regime:10")  # a step later
    _some_states(redis, 57, 27)
    page = operator_client.get("/admin/regime/regimecache/").content.decode()
    assert recent_figures()["without_ttl"] == 27
    assert "States without expiry</td>" in page or "States without expiry</th>" in page
    assert "estimated" not in page
    assert "27 keys without TTL" in health(recent_figures()["sampled_at"]).figure

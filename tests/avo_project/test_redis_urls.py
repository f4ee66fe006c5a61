"""Redis URLs: every documented scheme, and helpful errors without passwords."""

import pytest

from avo_project.redis_client.urls import RedisTarget, RedisUrlError, mask_password, parse_redis_url


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://localhost", RedisTarget("single", (("localhost", 6379),))),
        ("redis://:p%40ss@cache:6380/2", RedisTarget("single", (("cache", 6380),), database=2, password="p@ss")),
        (
            "rediss://avo:pw@cache:6390",
            RedisTarget("single", (("cache", 6390),), username="avo", password="pw", tls=True),
        ),
        ("redis://[::1]:7000/0", RedisTarget("single", (("::1", 7000),))),
        ("redis://localhost?db=3", RedisTarget("single", (("localhost", 6379),), database=3)),
        ("unix:///run/redis.sock", RedisTarget("unix", path="/run/redis.sock")),
        ("unix://:pw@/run/redis.sock?db=4", RedisTarget("unix", path="/run/redis.sock", database=4, password="pw")),
        (
            "redis+sentinel://:pw@one:26379,two:26380/avo/1",
            RedisTarget("sentinel", (("one", 26379), ("two", 26380)), service="avo", database=1, password="pw"),
        ),
        ("redis+cluster://one:7000,two", RedisTarget("cluster", (("one", 7000), ("two", 6379)))),
        ("rediss+cluster://u:p@one", RedisTarget("cluster", (("one", 6379),), username="u", password="p", tls=True)),
        (
            "rediss+sentinel://u:p@one/avo?sentinel_username=watch&sentinel_password=p%26w",
            RedisTarget(
                "sentinel",
                (("one", 26379),),
                service="avo",
                username="u",
                password="p",
                tls=True,
                sentinel_username="watch",
                sentinel_password="p&w",
            ),
        ),
    ],
)
def test_every_scheme_of_the_contract_is_parsed(url: str, target: RedisTarget) -> None:
    assert parse_redis_url(url) == target


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "scheme"),
        ("http://:secret@localhost", "scheme"),
        ("redis://:secret@", "host:port"),
        ("redis://:secret@host:port", "host:port"),
        ("redis://:secret@host:99999", "port"),
        ("redis://:secret@host/one", "database must be a number"),
        ("redis://:secret@host/1/2", "one database"),
        ("redis://:secret@[host", "scheme"),
        ("unix://:secret@relative.sock", "absolute path"),
        ("redis+sentinel://:secret@one:26379", "/service"),
        ("redis+sentinel://:secret@one:26379/avo/x", "database must be a number"),
        ("redis+cluster://:secret@one:7000/3", "no databases"),
        ("redis+cluster://:secret@one:7000,", "host:port"),
        ("redis+sentinel://one:26379?sentinel_password=secret", "/service"),
    ],
)
def test_an_unusable_url_is_explained_without_its_password(url: str, why: str) -> None:
    with pytest.raises(RedisUrlError, match=why) as caught:
        parse_redis_url(url)
    assert "secret" not in str(caught.value)


def test_a_password_with_an_at_sign_is_masked_whole() -> None:
    assert mask_password("redis://user:p@ss@host:1") == "redis://***@host:1"


def test_the_password_stays_out_of_the_record_when_it_is_printed() -> None:
    assert "secret" not in repr(parse_redis_url("redis://:secret@host"))


def test_what_is_no_url_at_all_may_be_a_password_and_is_not_shown() -> None:
    with pytest.raises(RedisUrlError) as refused:
        parse_redis_url("sesame")
    assert "sesame" not in str(refused.value)

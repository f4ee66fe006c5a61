from typing import Any

import pytest

from signals_app import keys
from signals_app.services.redriving import LetterFilter, Redriver, matching_letters
from signals_app.store.dead_letters import DeadLetter, DeadLetters
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import StreamFullError
from tests.signals_app.conftest import fields


@pytest.fixture
def letters(redis_client: Any) -> DeadLetters:
    return DeadLetters(redis_client, hard_cap=100)


@pytest.fixture
def dead_lettered(redis_client: Any, group: ConsumerGroup) -> list[str]:
    """Three letters: two of AAPL that were rejected, one of MSFT with a bad direction."""
    dead = ((1, "AAPL", "rejected: x"), (2, "MSFT", "bad-direction: y"), (3, "AAPL", "rejected: z"))
    for number, symbol, reason in dead:
        entry_id = redis_client.xadd(keys.LIVE, fields(number, symbol=symbol)).decode()
        group.read("one", count=1, block_ms=0)
        group.move_to_dead_letters("one", entry_id, reason=reason, deliveries=number)
    return [letter_id.decode() for letter_id, _ in redis_client.xrange(keys.DEAD)]


def test_letters_keep_the_original_fields(letters: DeadLetters, dead_lettered: list[str]) -> None:
    newest = letters.newest_first(1)[0]
    assert (newest.letter_id, newest.reason, newest.deliveries) == (dead_lettered[2], "rejected: z", 3)
    assert (newest.shown("symbol"), newest.shown("nothing")) == ("AAPL", "")
    assert newest.fields == {name.encode(): value.encode() for name, value in fields(3).items()}
    assert letters.length() == 3


def test_a_letter_redriven_is_an_event_again_and_gone(
    letters: DeadLetters, dead_lettered: list[str], redis_client: Any
) -> None:
    entry_id = letters.redrive(dead_lettered[0])
    assert entry_id is not None
    newest_id, newest = redis_client.xrevrange(keys.LIVE, count=1)[0]
    assert (newest_id.decode(), newest) == (
        entry_id,
        {name.encode(): value.encode() for name, value in fields(1).items()},
    )
    assert letters.redrive(dead_lettered[0]) is None, "once"
    assert letters.length() == 2


def test_fields_of_the_event_survive_whatever_their_names(
    letters: DeadLetters, group: ConsumerGroup, redis_client: Any
) -> None:
    named = fields(1) | {"dead_reason": "mine", "dead_at": "noon", "dead_rest": "too", "dead_source_id": "desk"}
    for lives in range(3):
        if lives:
            letters.redrive(letters.newest_first(1)[0].letter_id)
        else:
            redis_client.xadd(keys.LIVE, named)
        [delivery] = group.read("one", count=1, block_ms=0)
        assert delivery.fields == [part.encode() for pair in named.items() for part in pair]
        group.move_to_dead_letters("one", delivery.entry_id, reason="rejected", deliveries=2)
        [letter] = letters.newest_first(1)
        assert (letter.reason, letter.deliveries, letter.source_id) == ("rejected", 2, delivery.entry_id)
        assert letter.fields == {name.encode(): value.encode() for name, value in named.items()}
        assert letters.length() == 1


def test_at_the_hard_cap_nothing_is_redriven(redis_client: Any, dead_lettered: list[str]) -> None:
    with pytest.raises(StreamFullError):
        DeadLetters(redis_client, hard_cap=3).redrive(dead_lettered[0])
    assert redis_client.xlen(keys.DEAD) == 3


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (LetterFilter(), [0, 1, 2]),
        (LetterFilter(reason="rejected"), [0, 2]),
        (LetterFilter(symbol="MSFT"), [1]),
        (LetterFilter(reason="rejected", limit=1), [0]),
        (LetterFilter(limit=0), []),
    ],
)
def test_filters(letters: DeadLetters, dead_lettered: list[str], wanted: LetterFilter, expected: list[int]) -> None:
    assert [letter.letter_id for letter in matching_letters(letters, wanted)] == [
        dead_lettered[number] for number in expected
    ]


def test_without_letters_nothing_matches(letters: DeadLetters) -> None:
    assert list(matching_letters(letters, LetterFilter())) == []


def test_the_redriver_keeps_its_rate_and_stops_on_request(letters: DeadLetters, dead_lettered: list[str]) -> None:
    reports: list[DeadLetter] = []
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 2

    redriver = Redriver(letters, max_per_second=4, report=reports.append, pause=pause)
    redriver.run("remove", LetterFilter())
    assert (redriver.done, pauses, letters.length()) == (2, [0.25, 0.25], 1)
    assert [letter.letter_id for letter in reports] == dead_lettered[:2]


def test_an_event_dead_lettered_again_is_left_for_the_next_run(
    letters: DeadLetters, dead_lettered: list[str], group: ConsumerGroup
) -> None:
    def dead_letter_again(letter: DeadLetter) -> None:
        (delivery,) = group.read("one", count=1, block_ms=0)
        group.move_to_dead_letters("one", delivery.entry_id, reason="again", deliveries=1)

    redriver = Redriver(letters, max_per_second=None, report=dead_letter_again, pause=lambda seconds: False)
    redriver.run("redrive", LetterFilter())
    assert (redriver.done, letters.length()) == (3, 3)


def test_fields_that_are_not_utf8_are_displayed(letters: DeadLetters, redis_client: Any) -> None:
    redis_client.xadd(keys.DEAD, {b"\xff": b"\x00" * 500, "dead_deliveries": "many"})
    shown = letters.newest_first(1)[0].as_json()
    assert shown["fields"] == {"\\xff": "\x00" * 80}
    assert shown["dead_deliveries"] == 0


def test_beyond_the_cap_the_oldest_letters_are_deleted(redis_client: Any, group: ConsumerGroup) -> None:
    capped = ConsumerGroup(redis_client, group.name, heartbeat_ttl_ms=60_000, dead_cap=100)
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(1, 401):
            pipeline.xadd(keys.DEAD, fields(number), id=f"{number}-0")
        pipeline.execute()
    entry_id = redis_client.xadd(keys.LIVE, fields(401)).decode()
    group.read("one", count=1, block_ms=0)
    assert capped.move_to_dead_letters("one", entry_id, reason="rejected", deliveries=1)
    kept = redis_client.xrange(keys.DEAD)
    assert 100 <= len(kept) < 300
    assert kept[0][0] > b"1-0"
    assert kept[-1][1][b"dead_source_id"].decode() == entry_id

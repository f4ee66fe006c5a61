from signals_app.admin.panels import expired_label
from signals_app.domain.heartbeats import ExpiredConsumer, Heartbeats

TTL_MS = 4_000
NOW_MS = 1_000_000


def members(heartbeats: dict[str, str], expired_consumers: dict[str, str] | None = None) -> Heartbeats:
    kept = heartbeats | {f"{member} died": note for member, note in (expired_consumers or {}).items()}
    raw = {field.encode(): value.encode() for field, value in kept.items()}
    return Heartbeats(raw, heartbeat_ttl_ms=TTL_MS, now_ms=NOW_MS)


def test_who_has_a_current_heartbeat_lives_in_its_own_group_alone() -> None:
    seen = members({"g one": "1000001 token", "g two": "1000000 token", "h three": "1009999 token"})
    assert seen.of("g") == ["one", "two"]
    assert [seen.is_alive("g", consumer) for consumer in ("one", "two", "three")] == [True, False, False]


def test_a_silent_consumer_died_at_its_last_word_and_holds_what_it_holds_now() -> None:
    seen = members({"g one": "990000 token", "g two": "999000 token"})
    assert seen.expired_consumers("g", {"one": 12}) == [
        ExpiredConsumer("two", 5.0, 0),
        ExpiredConsumer("one", 14.0, 12),
    ]
    assert seen.expired_consumers("g", None)[1] == ExpiredConsumer("one", 14.0, None)
    assert seen.expired_consumers("h", {}) == []


def test_a_noted_death_is_told_once_with_who_took_over() -> None:
    note = "990000 12 997000 two"
    still_silent = members({"g one": "990000 token"}, {"g one": note})
    assert still_silent.expired_consumers("g", {"one": 3}) == [ExpiredConsumer("one", 14.0, 12, "two", 3.0)]
    alive_again = members({"g one": "1003000 new"}, {"g one": note})
    assert alive_again.expired_consumers("g", {"one": 3}) == [ExpiredConsumer("one", 14.0, 12, "two", 3.0)]
    dead_again = members({"g one": "999000 new"}, {"g one": note})
    assert [expired.expired_seconds_ago for expired in dead_again.expired_consumers("g", {})] == [5.0, 14.0]


def test_a_death_is_told_with_what_was_held_and_what_came_of_it() -> None:
    assert (
        expired_label(ExpiredConsumer("c", 14.2, 12)) == "c died 14 s ago holding 12 entries; nobody has taken over yet"
    )
    assert (
        expired_label(ExpiredConsumer("c", 14.2, 0))
        == "c died 14 s ago holding nothing; there was nothing to take over"
    )
    assert (
        expired_label(ExpiredConsumer("c", 75.0, 1, "d", 3.0))
        == "c died 1 min 15 s ago holding 1 entry; taken over by d 3 s ago"
    )
    assert expired_label(ExpiredConsumer("c", 9.0, None)).startswith(
        "c died 9 s ago holding entries that were not counted;"
    )

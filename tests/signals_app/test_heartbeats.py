from signals_app.admin.panels import expired_label
from signals_app.domain.heartbeats import ExpiredConsumer, Heartbeats

TTL_MS = 4_000
NOW_MS = 1_000_000


def members(heartbeats: dict[str, str], expired_consumers: dict[str, str] | None = None) -> Heartbeats:
    kept = heartbeats | {f"{member} died": note for member, note in (expired_consumers or {}).items()}
    raw = {field.encode(): value.encode() for field, value in kept.items()}
    return Heartbeats(raw, heartbeat_ttl_ms=TTL_MS, now_ms=NOW_MS)


def test_a_current_heartbeat_counts_in_its_own_group_only() -> None:
    seen = members({"g one": "1000001 token", "g two": "1000000 token", "h three": "1009999 token"})
    assert seen.of("g") == ["one", "two"]
    assert [seen.is_alive("g", consumer) for consumer in ("one", "two", "three")] == [True, False, False]


def test_an_expired_consumer_has_its_last_heartbeat_and_its_current_entries() -> None:
    seen = members({"g one": "990000 token", "g two": "999000 token"})
    assert seen.expired_consumers("g", {"one": 12}) == [
        ExpiredConsumer("two", 5.0, 0),
        ExpiredConsumer("one", 14.0, 12),
    ]
    assert seen.expired_consumers("g", None)[1] == ExpiredConsumer("one", 14.0, None)
    assert seen.expired_consumers("h", {}) == []


def test_a_recorded_expiry_is_listed_once_with_the_consumer_that_took_over() -> None:
    note = "990000 12 997000 two"
    still_silent = members({"g one": "990000 token"}, {"g one": note})
    assert still_silent.expired_consumers("g", {"one": 3}) == [ExpiredConsumer("one", 14.0, 12, "two", 3.0)]
    alive_again = members({"g one": "1003000 new"}, {"g one": note})
    assert alive_again.expired_consumers("g", {"one": 3}) == [ExpiredConsumer("one", 14.0, 12, "two", 3.0)]
    expired_again = members({"g one": "999000 new"}, {"g one": note})
    assert [expired.expired_seconds_ago for expired in expired_again.expired_consumers("g", {})] == [5.0, 14.0]


def test_an_expiry_is_described_with_held_entries_and_takeover() -> None:
    assert expired_label(ExpiredConsumer("c", 14.2, 12)) == "c expired 14 s ago holding 12 entries; not taken over yet"
    assert expired_label(ExpiredConsumer("c", 14.2, 0)) == "c expired 14 s ago holding nothing; nothing to take over"
    assert (
        expired_label(ExpiredConsumer("c", 75.0, 1, "d", 3.0))
        == "c expired 1 min 15 s ago holding 1 entry; taken over by d 3 s ago"
    )
    assert expired_label(ExpiredConsumer("c", 9.0, None)).startswith(
        "c expired 9 s ago holding an unknown number of entries;"
    )

import math

import pytest

from signals_app.domain.heartbeats import ExpiredConsumer, Heartbeats
from signals_app.domain.lag import (
    ConsumerFigures,
    GroupFigures,
    LagLimits,
    StreamFigures,
    advice_for,
    drain_seconds,
    exceeded_limits,
    group_kind,
    lag_text,
)


def figures(length: int = 5, **changes: object) -> StreamFigures:
    known = {
        "name": "g", "pending": 0, "lag": 0, "lag_exact": True, "oldest_pending_seconds": None,
        "oldest_undelivered_seconds": None, "drain_seconds": None, "consumers": (), "consumers_alive": 0,
        "expired_consumers": (),
    }  # fmt: skip
    return StreamFigures("signals:live", length, [GroupFigures(**(known | changes))])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "limits", "exceeded"),
    [
        (figures(pending=1_000), LagLimits(), []),
        (figures(pending=1_001), LagLimits(), ["g: 1001 pending, 1000 at most"]),
        (figures(lag=10_000), LagLimits(), []),
        (figures(lag=11), LagLimits(max_lag=10), ["g: 11 not delivered, 10 at most"]),
        (figures(lag=None), LagLimits(max_lag=10), ["g: an unknown number not delivered, 10 at most"]),
        (figures(lag=None), LagLimits(), []),
        (
            figures(oldest_undelivered_seconds=61.0),
            LagLimits(max_age_seconds=60),
            ["g: the oldest waits for 61.0 s, 60 s at most"],
        ),
        (figures(oldest_pending_seconds=59.0), LagLimits(max_age_seconds=60), []),
        (figures(length=9), LagLimits(max_length=9), ["signals:live is full: 9 entries, publishers are refused"]),
    ],
)
def test_each_exceeded_limit_is_one_sentence(now: StreamFigures, limits: LagLimits, exceeded: list[str]) -> None:
    assert list(map(str, exceeded_limits(now, limits))) == exceeded


def test_the_text_never_shows_an_unknown_lag_as_none() -> None:
    assert "g: 3 pending (oldest 1.5 s), an unknown number not delivered (oldest none)" in lag_text(
        figures(pending=3, lag=None, oldest_pending_seconds=1.5)
    )
    assert "(oldest none), done at an unknown time" in lag_text(figures(lag=None))
    assert "done in about 12 s" in lag_text(figures(lag=70, drain_seconds=12.4))
    assert "nothing waits" in lag_text(figures(drain_seconds=0.0))
    assert "about 70" in lag_text(figures(lag=70, lag_exact=False))
    assert "no groups yet" in lag_text(StreamFigures("signals:live", 0, ()))


ALIVE = ConsumerFigures("ours", 1, 300.0, alive=True)
FOREIGN = ConsumerFigures("theirs", 1, 59.0, alive=False)
NO_CONSUMER = "no live consumer: start consume_signals --group"
GONE = ConsumerFigures("gone", 1, 61.0, alive=False)


@pytest.mark.parametrize(
    ("group", "hint"),
    [
        ({}, ""),
        ({"consumers": [GONE]}, ""),
        (
            {"lag": 1},
            f"{NO_CONSUMER} g; if it is no longer needed: signal_groups --forget g",
        ),
        ({"lag": 1, "name": "apex-group"}, f"{NO_CONSUMER} apex-group"),
        ({"lag": None, "name": "apex-group"}, f"{NO_CONSUMER} apex-group"),
        (
            {"pending": 1, "consumers": [GONE], "name": "apex-group"},
            f"{NO_CONSUMER} apex-group",
        ),
        ({"pending": 1, "consumers": [FOREIGN]}, ""),
        ({"pending": 1, "consumers": [ALIVE, GONE], "oldest_pending_seconds": 60.0}, ""),
        (
            {"pending": 1, "consumers": [ALIVE], "oldest_pending_seconds": 60.1},
            "it is behind: start one more consume_signals --group g",
        ),
        (
            {"lag": 1, "consumers": [FOREIGN], "oldest_undelivered_seconds": 99.0},
            "it is behind: start one more consume_signals --group g",
        ),
    ],
)
def test_an_unhealthy_group_has_advice(group: dict[str, object], hint: str) -> None:
    now = figures(**group)
    assert advice_for(now.groups[0]) == hint
    assert (lag_text(now).splitlines()[-1] == f"    {hint}") is bool(hint)


@pytest.mark.parametrize("limit", [math.nan, math.inf, -1.0])
def test_a_limit_that_could_never_be_right_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="--max-age must be 0 to 1,000,000,000,000, not "):
        LagLimits(max_age_seconds=limit)
    with pytest.raises(ValueError, match="--max-pending must be"):
        LagLimits(max_pending=-1)


SILENT = ConsumerFigures("theirs", 1, 300.0, alive=False)
FRESH = ConsumerFigures("theirs", 1, 3.0, alive=False)


@pytest.mark.parametrize(
    ("name", "consumers", "kept", "kind"),
    [
        ("desk", [FRESH], {}, "external"),
        ("desk", [SILENT], {}, "external"),
        ("desk", [], {}, "external"),
        ("desk", [SILENT], {b"desk": b"served"}, "own"),
        ("desk", [FRESH], {b"desk": b"served"}, "external"),
        ("desk", [FRESH], {b"desk": b"served", b"desk theirs": b"1 token"}, "own"),
        ("desk", [ConsumerFigures("theirs", 1, 3.0, alive=True)], {b"desk theirs": b"9 token"}, "heartbeat"),
        ("desk", [SILENT], {b"desk theirs": b"1 token"}, "heartbeat"),
        ("desk", [SILENT], {b"desk theirs died": b"1 0 2 other"}, "heartbeat"),
        ("declared", [SILENT], {b"declared": b"served"}, "external"),
        ("apex-group", [FRESH], {}, "own"),
    ],
)
def test_the_kind_of_a_group_follows_from_its_records(
    name: str, consumers: list[ConsumerFigures], kept: dict[bytes, bytes], kind: str
) -> None:
    members = Heartbeats(kept, heartbeat_ttl_ms=4_000, now_ms=5)
    assert group_kind(name, consumers, members=members, external=("declared",)) == kind


@pytest.mark.parametrize(
    ("group", "hint"),
    [
        ({"consumers": [FRESH]}, ""),
        ({"consumers": [SILENT], "oldest_undelivered_seconds": 59.0}, ""),
        (
            {"consumers": [FRESH], "oldest_undelivered_seconds": 61.0},
            "it is behind: check the program that reads it",
        ),
        (
            {"consumers": [SILENT], "oldest_undelivered_seconds": 61.0},
            "its program has not read for 60 s: start it; if it is no longer needed: signal_groups --forget g",
        ),
        (
            {"consumers": [SILENT], "kind": "heartbeat"},
            "none of its consumers sends a heartbeat: start its program; "
            "if it is no longer needed: signal_groups --forget g",
        ),
    ],
)
def test_consume_signals_is_never_advised_for_a_group_of_another_program(group: dict[str, object], hint: str) -> None:
    now = figures(lag=3, **({"kind": "external"} | group))
    assert advice_for(now.groups[0]) == hint
    assert not now.groups[0].is_abandoned or now.groups[0].kind == "heartbeat"
    assert "consume_signals" not in lag_text(now)


def test_only_entries_of_an_expired_consumer_may_be_freed() -> None:
    [external] = figures(kind="external", consumers=[SILENT]).groups
    [own] = figures(consumers=[SILENT, FRESH]).groups
    [dead] = figures(consumers=[FRESH], expired_consumers=[ExpiredConsumer("theirs", 3.0, 1)]).groups
    assert not external.may_be_freed(SILENT)
    assert (own.may_be_freed(SILENT), own.may_be_freed(FRESH)) == (True, False)
    assert dead.may_be_freed(FRESH)
    assert not dead.may_be_freed(ConsumerFigures("theirs", 1, 0.0, alive=True))


def test_limits_of_the_stream_have_no_group() -> None:
    full = StreamFigures("signals:live", 9, (), dead_letters=80, is_exhausted=True)
    exceeded = exceeded_limits(full, LagLimits(max_length=9, max_dead=100))
    assert [(one.limit, one.group, one.is_rejection) for one in exceeded] == [
        ("exhausted", None, True), ("length", None, True), ("dead", None, False),
    ]  # fmt: skip
    assert exceeded_limits(StreamFigures("signals:live", 9, (), dead_letters=79), LagLimits(max_dead=100)) == []


@pytest.mark.parametrize(
    ("notes", "handled", "waiting", "seconds"),
    [
        ("10000 100", 300, 50, 10 * 50 / 200),
        ("10000 100 15000 290", 300, 50, 10 * 50 / 200),
        ("10000 100", 300, 0, 0.0),
        ("", 300, 0, 0.0),
        ("", 300, 50, None),
        ("10000 300", 300, 50, None),
        ("10000 400", 300, 50, None),
        ("10000 100", None, 50, None),
        ("10000 100", 300, None, None),
        ("19500 100", 300, 50, None),
    ],
)
def test_the_drain_time_is_the_backlog_divided_by_the_rate(
    notes: str, handled: int | None, waiting: int | None, seconds: float | None
) -> None:
    assert drain_seconds(notes, handled=handled, waiting=waiting, now_ms=20_000) == seconds


def test_the_json_of_an_expired_consumer_keeps_its_public_names() -> None:
    [group] = figures(expired_consumers=[ExpiredConsumer("c", 14.0, 12, "d", 3.0)]).as_json()["groups"]
    assert group["deaths"] == [
        {"consumer": "c", "held": 12, "taken_over_by": "d", "taken_over_seconds_ago": 3.0, "died_seconds_ago": 14.0}
    ]
    assert "expired_consumers" not in group

import pytest

from signals_app.domain.drain import drain_seconds


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
def test_what_waits_is_divided_by_the_pace_if_that_is_known(
    notes: str, handled: int | None, waiting: int | None, seconds: float | None
) -> None:
    assert drain_seconds(notes, handled=handled, waiting=waiting, now_ms=20_000) == seconds

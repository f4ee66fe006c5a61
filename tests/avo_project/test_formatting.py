import pytest

from avo_project.lib.formatting import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3.0, "0 s"), (0.4, "0 s"), (14.2, "14 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"),
        (3_599, "59 min 59 s"), (3_600, "1 h"), (7_500, "2 h 5 min"), (86_399, "23 h 59 min"), (86_400, "1 d"),
        (89_571, "1 d"), (3 * 86_400 + 4 * 3_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_two_units_at_most(seconds: float, said: str) -> None:
    assert duration(seconds) == said

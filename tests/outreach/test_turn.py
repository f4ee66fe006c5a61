"""Which lanes a worker names."""

from outreach.rules.turn import Turn, next_turn


def test_names_what_is_wanted_and_a_few_in_reserve() -> None:
    assert next_turn(tuple(range(1000)), 4) == Turn(tuple(range(12)), 1)
    assert next_turn(tuple(range(1000)), 64, most_of_one=8) == Turn(tuple(range(16)), 8)


def test_takes_more_of_each_when_there_are_few() -> None:
    assert next_turn((7, 9), 5) == Turn((7, 9), 3)
    assert next_turn((), 5) == Turn((), 5)

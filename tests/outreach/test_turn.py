"""Which lanes a worker names."""

from outreach.domain.reservation_plan import ReservationPlan, next_plan


def test_names_what_is_wanted_and_a_few_in_reserve() -> None:
    assert next_plan(tuple(range(1000)), 4) == ReservationPlan(tuple(range(12)), 1)
    assert next_plan(tuple(range(1000)), 64, most_of_one=8) == ReservationPlan(tuple(range(16)), 8)


def test_takes_more_of_each_when_there_are_few() -> None:
    assert next_plan((7, 9), 5) == ReservationPlan((7, 9), 3)
    assert next_plan((), 5) == ReservationPlan((), 5)

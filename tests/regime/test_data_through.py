import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regime.domain.data_through import are_young, data_age, data_ends, data_through_value, known_data_through
from tests.regime.states import NOW

CASES = json.loads((Path(__file__).parent / "data" / "data_through.json").read_text())["cases"]


@pytest.mark.parametrize(("text", "value", "age_seconds"), CASES)
def test_what_a_writer_may_say(text: str, value: Any, age_seconds: float | None) -> None:
    known = known_data_through(text.encode())
    assert data_through_value(known) == value
    assert data_age(known, NOW) == age_seconds
    assert known_data_through(known or None) == known


def test_many_are_as_old_as_each_of_them() -> None:
    known = np.array([known_data_through(text.encode()) for text, _, _ in CASES])
    for max_age in (0.0, 999.7, 1e6, 1e10):
        young = [age is not None and age <= max_age for _, _, age in CASES]
        assert are_young(data_ends(known), NOW, max_age).tolist() == young
    assert data_ends(known[:0]).tolist() == []

import json

from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.json_members import json_members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5), st.sampled_from([None, 0, 2]), st.booleans())
def test_every_value_is_there_as_it_stands(members: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    found = json_members(json.dumps(members, indent=indent, ensure_ascii=ascii_only))
    expected = {name: one for name, one in members.items() if one is not None}
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert (found[name] if isinstance(one, str) else json.loads(found[name])) == one


def test_a_number_of_any_length_is_kept() -> None:
    assert json_members('{"n":' + "7" * 5_000 + "}") == {"n": "7" * 5_000}

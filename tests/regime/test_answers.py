import json
from pathlib import Path

import pytest

from regime.services.answers import entity_tags, preferred_encoding

_TABLE = json.loads((Path(__file__).parent / "data" / "accept_encoding.json").read_text())


@pytest.mark.parametrize(("accepted", "encoding", "why"), _TABLE["cases"])
def test_the_coding_that_suits_best(accepted: str, encoding: str, why: str) -> None:
    assert preferred_encoding(accepted, _TABLE["available"]) == encoding, why


def test_tags_lose_their_weakness_and_keep_their_quotes() -> None:
    assert entity_tags('W/"a", "b,c"\t,"", d, "e"f') == ['"a"', '"b,c"', '""']
    assert entity_tags("*") == ["*"]

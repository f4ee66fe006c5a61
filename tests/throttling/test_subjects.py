import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throttling import keys
from throttling.domain.subjects import address_name, applies_to, is_id, normal, of_address

CASES = json.loads((Path(__file__).parent / "data" / "override_subjects.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "num_proxies", "subject"),
    [
        ("192.0.2.7", "", 0, "address:192.0.2.7"),
        ("192.0.2.7", "203.0.113.9", 0, "address:192.0.2.7"),
        ("192.0.2.7", "198.51.100.1, 203.0.113.9", 1, "address:203.0.113.9"),
        ("192.0.2.7", "198.51.100.1, 203.0.113.9", 2, "address:198.51.100.1"),
        ("192.0.2.7", "203.0.113.9", 2, "address:192.0.2.7"),
        ("192.0.2.7", "unknown", 1, "address:192.0.2.7"),
        ("192.0.2.7", "203.0.113.9:4711", 1, "address:203.0.113.9"),
        ("192.0.2.7", "[2001:db8:1:2:3::4]:443", 1, "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", 0, "address:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", 0, "address:fe80::/64"),
        ("::ffff:192.0.2.7", "", 0, "address:192.0.2.7"),
        ("", "", 0, "address:local"),
        ("", "203.0.113.9", 1, "address:203.0.113.9"),
        ("192.0.2.7", "9" * 100_000, 1, "address:192.0.2.7"),
        ("192.0.2.7", "::\0", 1, "address:192.0.2.7"),
        ("192.0.2.7", "٣.0.113.9", 1, "address:192.0.2.7"),
    ],
)
def test_addresses(peer: str, forwarded_for: str, num_proxies: int, subject: str) -> None:
    assert of_address(peer, forwarded_for, num_proxies) == subject


@given(st.ip_addresses())
def test_an_address_is_named_as_the_standard_library_writes_it(address: Any) -> None:
    if address.version == 4 or address.ipv4_mapped:
        assert address_name(str(address)) == str(getattr(address, "ipv4_mapped", None) or address)
    else:
        assert address_name(str(address)) == str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


@pytest.mark.parametrize(("text", "subject", "words"), CASES["accepted"])
def test_what_an_operator_writes_is_counted_as_callers_are(text: str, subject: str, words: str) -> None:
    assert normal(text) == subject == normal(subject)
    assert applies_to(subject) == words


@pytest.mark.parametrize(("text", "why"), CASES["refused"])
def test_what_no_caller_is_counted_as_is_rejected(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normal(text)


@given(st.ip_addresses())
def test_an_operators_address_is_the_callers(address: Any) -> None:
    assert normal(str(address)) == normal(f"address:{address}") == of_address(str(address), "", 0)


def test_ids_cannot_leave_their_hash_tag() -> None:
    assert is_id("user_2NNEqL2nrIRdJ194ndJqAHwEfxC")
    assert not any(is_id(text) for text in ("a}b", "", "a b", "x" * 129, "é", 7, None))
    assert keys.window("user:a", 60) == "throttle:{user:a}:60"

import pytest

from tests.doubles import FixedClock
from tests.throttling.clerk import ISSUER, KEY, OTHER_KEY, SigningKey, claims, token
from throttling.conf import ClerkConf
from throttling.domain.clerk_token import BadSignatureError, BadTokenError
from throttling.services import token_verifier
from throttling.services.callers import clerk_user
from throttling.services.token_verifier import TokenVerifier

CLERK = ClerkConf(ISSUER, "", None, frozenset())


class Ring:
    """Keys by name, as they are now and as a refresh will find them."""

    def __init__(self, **keys: SigningKey) -> None:
        self.now = {name: key.public for name, key in keys.items()}
        self.newer = dict(self.now)
        self.refreshes = 0
        self.vouched: list[bool] = []

    def find(self, kid: str) -> object:
        return self.now.get(kid)

    known = find

    def mark_verified(self, is_new: bool = False) -> None:
        self.vouched.append(is_new)

    def refresh(self) -> bool:
        self.refreshes += 1
        changed, self.now = self.now != self.newer, dict(self.newer)
        return changed


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(claims()["iat"])


def verifier(ring: Ring, clock: FixedClock) -> TokenVerifier:
    return TokenVerifier(CLERK, ring, lambda identity: clerk_user(identity, {}, lambda subject: None), clock)


def test_a_checked_token_is_remembered_until_it_expires(clock: FixedClock) -> None:
    checker, one = verifier(Ring(k=KEY), clock), token(kid="k")
    assert checker.recall(one) is None
    caller = checker.check(one)
    assert checker.recall(one) is caller
    clock.advance(69)
    assert checker.recall(one) is caller
    clock.advance(2)
    assert checker.recall(one) is None
    with pytest.raises(BadTokenError, match="expired"):
        checker.check(one)


def test_a_changed_key_makes_it_forget(clock: FixedClock) -> None:
    ring = Ring(k=KEY)
    checker, one = verifier(ring, clock), token(kid="k")
    checker.check(one)
    ring.now["k"] = OTHER_KEY.public
    assert checker.recall(one) is None


def test_rotation_with_a_new_name(clock: FixedClock) -> None:
    ring = Ring(old=KEY)
    ring.newer["new"] = OTHER_KEY.public
    assert verifier(ring, clock).check(token(OTHER_KEY, kid="new")).subject == "user:user_alice"


def test_only_a_token_that_needs_the_new_key_verifies_the_fetch(clock: FixedClock) -> None:
    ring = Ring(k=KEY)
    ring.newer["k"] = OTHER_KEY.public
    checker, old, new = verifier(ring, clock), token(kid="k"), token(OTHER_KEY, kid="k")
    checker.check(old)
    checker.recall(old)
    checker.check(new)
    with pytest.raises(BadSignatureError):
        checker.check(old)
    assert ring.vouched == [False, False, True]


@pytest.mark.parametrize("wrong", [{"exp": 0}, {"iss": "https://elsewhere.test"}, {"sts": "pending"}])
def test_no_key_is_fetched_when_none_would_help(clock: FixedClock, wrong: dict[str, object]) -> None:
    ring = Ring(k=KEY)
    for kid in ("k", "unknown"):
        with pytest.raises(BadTokenError):
            verifier(ring, clock).check(token(OTHER_KEY, kid=kid, **wrong))
    assert ring.refreshes == 0


def test_rotation_with_the_same_name(clock: FixedClock) -> None:
    ring = Ring(k=KEY)
    ring.newer["k"] = OTHER_KEY.public
    assert verifier(ring, clock).check(token(OTHER_KEY, kid="k")).subject == "user:user_alice"


def test_a_key_that_stays_unknown(clock: FixedClock) -> None:
    ring = Ring(k=KEY)
    with pytest.raises(BadTokenError) as caught:
        verifier(ring, clock).check(token(OTHER_KEY))
    assert (caught.value.reason, ring.refreshes) == ("unknown-key", 1)


def test_a_wrong_signature_stays_wrong(clock: FixedClock) -> None:
    ring = Ring(k=KEY)
    with pytest.raises(BadSignatureError):
        verifier(ring, clock).check(token(OTHER_KEY, kid="k"))
    assert ring.refreshes == 1


def test_what_it_remembers_is_bounded(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_verifier, "MAX_REMEMBERED", 3)
    checker, tokens = verifier(Ring(k=KEY), clock), [token(kid="k", user=f"user_{n}") for n in range(5)]
    for one in tokens:
        checker.check(one)
    assert [checker.recall(one) is not None for one in tokens] == [False, False, True, True, True]


@pytest.mark.parametrize("reason", ["expired", "issuer", "pending"])
def test_a_token_that_can_never_become_good_costs_one_check(clock: FixedClock, reason: str) -> None:
    changes = {"expired": {"exp": 1}, "issuer": {"iss": "https://other.test"}, "pending": {"sts": "pending"}}
    ring, bad = Ring(k=KEY), token(kid="k", **changes[reason])
    checker = verifier(ring, clock)
    for _ in range(3):
        with pytest.raises(BadTokenError) as caught:
            checker.check(bad)
        assert caught.value.reason == reason
        ring.now.clear()  # without a key no signature can be checked


def test_a_token_that_may_become_valid_is_checked_again(clock: FixedClock) -> None:
    checker, early = verifier(Ring(k=KEY), clock), token(kid="k", nbf=int(clock()) + 30)
    with pytest.raises(BadTokenError, match="not valid yet"):
        checker.check(early)
    clock.advance(30)
    assert checker.check(early).subject == "user:user_alice"


def test_the_negative_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_verifier, "_MAX_REJECTED", 2)
    rejected = token_verifier.RejectedTokens()
    for number in range(3):
        rejected.keep(f"token {number}", BadTokenError("expired", "The token has expired."))
    rejected.check("token 0")
    with pytest.raises(BadTokenError):
        rejected.check("token 2")

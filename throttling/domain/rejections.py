"""Recent rejections and bad tokens kept in memory, so that repeated calls cost no round trip."""

import hashlib

from avo_project.lib.bounded_dict import BoundedDict
from throttling.domain.clerk_token import BadTokenError
from throttling.domain.policies import Hit, Outcome

MEMO_SECONDS = 1.0  # an operator's reset is seen after this long
_MAX_SUBJECTS = 10_000


class RejectionMemo:
    """The latest rejection of each subject. It answers only hits that Redis would reject too."""

    def __init__(self) -> None:
        self._rejections: BoundedDict[str, tuple[Outcome, float]] = BoundedDict(_MAX_SUBJECTS)

    def recall(self, hit: Hit, now: float) -> Outcome | None:
        """The rejection that ``hit`` would get at ``now`` (monotonic seconds), if that is known."""
        kept = self._rejections.get(hit.subject)
        if kept is None:
            return None
        outcome, at = kept
        if now - at >= MEMO_SECONDS or hit.cost < outcome.hit.cost or hit.policies != outcome.hit.policies:
            return None
        return outcome.after(int((now - at) * 1000))

    def keep(self, outcome: Outcome, now: float) -> None:
        self._rejections[outcome.hit.subject] = (outcome, now)

    def forget(self, subject: str) -> None:
        self._rejections.pop(subject, None)


_FINAL = ("expired", "issuer", "authorized-party", "pending", "kind", "lifetime")  # what a right signature vouches for
_MAX_TOKENS = 10_000


class RejectedTokens:
    """Digests of rejected tokens. Those that a newer key or a later moment could make good are not kept."""

    def __init__(self) -> None:
        self._rejected: BoundedDict[bytes, tuple[str, str]] = BoundedDict(_MAX_TOKENS)

    def check(self, token: str) -> None:
        """Raises BadTokenError for a token on the list."""
        kept = self._rejected.get(digest(token))
        if kept is not None:
            raise BadTokenError(*kept)

    def keep(self, token: str, bad: BadTokenError) -> None:
        if bad.reason not in _FINAL:
            return
        self._rejected[digest(token)] = (bad.reason, str(bad))


def digest(token: str) -> bytes:
    """What a token is remembered by: of one size, whatever callers send, and no secret."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=16).digest()

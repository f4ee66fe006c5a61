"""Recent rejections and bad tokens in memory, so that repeated calls need no round trip. Pure."""

import hashlib

from avo_project.lib.bounded_dict import BoundedDict
from throttling.domain.clerk_token import BadTokenError
from throttling.domain.policies import Hit, Outcome

MEMO_SECONDS = 1.0  # delay until an operator's reset takes effect
_MAX_SUBJECTS = 10_000


class RejectionMemo:
    """Caches the latest rejection of each subject. Answers only hits that Redis would also reject."""

    def __init__(self) -> None:
        self._rejections: BoundedDict[str, tuple[Outcome, float]] = BoundedDict(_MAX_SUBJECTS)

    def recall(self, hit: Hit, now: float) -> Outcome | None:
        """The rejection of ``hit`` at ``now`` (monotonic seconds), or None if unknown."""
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


_FINAL = (
    "expired",
    "issuer",
    "authorized-party",
    "pending",
    "kind",
    "lifetime",
)  # reasons that no newer key and no later time can change
_MAX_TOKENS = 10_000


class RejectedTokens:
    """Caches digests of tokens that are rejected for good. Tokens that may become valid are not cached."""

    def __init__(self) -> None:
        self._rejected: BoundedDict[bytes, tuple[str, str]] = BoundedDict(_MAX_TOKENS)

    def check(self, token: str) -> None:
        """Raises BadTokenError for a cached token."""
        kept = self._rejected.get(digest(token))
        if kept is not None:
            raise BadTokenError(*kept)

    def keep(self, token: str, bad: BadTokenError) -> None:
        if bad.reason not in _FINAL:
            return
        self._rejected[digest(token)] = (bad.reason, str(bad))


def digest(token: str) -> bytes:
    """The cache key of a token: of fixed size, and not secret."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=16).digest()

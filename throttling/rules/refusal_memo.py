"""Remembers refusals for a moment, so that a caller who hammers costs this process's memory and no round trip."""

from throttling.rules.records import Hit, Outcome

MEMO_SECONDS = 1.0  # an operator's reset is seen after this long
_MAX_SUBJECTS = 10_000


class RefusalMemo:
    """The latest refusal of each subject. It answers only hits that Redis would refuse too."""

    def __init__(self) -> None:
        self._refusals: dict[str, tuple[Outcome, float]] = {}

    def recall(self, hit: Hit, now: float) -> Outcome | None:
        """The refusal that ``hit`` would get at ``now`` (monotonic seconds), if that is known."""
        kept = self._refusals.get(hit.subject)
        if kept is None:
            return None
        outcome, at = kept
        if now - at >= MEMO_SECONDS or hit.cost < outcome.hit.cost or hit.policies != outcome.hit.policies:
            return None
        return outcome.after(int((now - at) * 1000))

    def keep(self, outcome: Outcome, now: float) -> None:
        if len(self._refusals) >= _MAX_SUBJECTS:
            self._refusals.clear()
        self._refusals[outcome.hit.subject] = (outcome, now)

    def forget(self, subject: str) -> None:
        self._refusals.pop(subject, None)

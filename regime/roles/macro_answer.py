"""Macro answers with their compressed forms, made once for as long as their bytes stay the same."""

from collections.abc import Hashable
from hashlib import blake2b

from regime.roles.representation import Representation, Tag

_KEPT = 64


class MacroAnswers:
    """Remembers the representation of each answer by the question."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Representation] = {}

    def answer(self, question: Hashable, body: bytes) -> Representation:
        kept = self._kept.get(question)
        if kept is None or kept.body != body:
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            kept = self._kept[question] = Representation(body, Tag(blake2b(body, digest_size=9).hexdigest()))
        return kept

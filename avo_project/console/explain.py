"""Explanations: collects what every role knows about an id, a symbol, an address or a key."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avo_project.console.registry import UNREACHABLE, Answer, HasPermission, consoles

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 300
ACCEPTED_IDS = (
    "a throttle subject (user:…, org:…, address:…), an inbox, a touch id, a symbol or a signal id; "
    "symbol:AAPL also explains a symbol without a state"
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ``answers`` about ``of``, and in ``silent`` the titles of the roles that are unavailable."""

    of: str
    answers: Sequence[Answer]
    silent: Sequence[str]


def explain(of: str, has_permission: HasPermission) -> Explanation:
    """Collects the answers of the roles that the user may view. Raises ValueError for an unusable id."""
    of = of.strip()
    if not of or len(of) > MAX_CHARACTERS:
        raise ValueError(f"Enter {ACCEPTED_IDS}.")
    if not of.isprintable():  # no id contains such characters
        return Explanation(of, (), ())
    answers: list[Answer] = []
    silent: list[str] = []
    for console in consoles():
        if not has_permission(console.permission):
            continue
        try:
            answers += console.explain(of, has_permission)
        except UNREACHABLE as failure:
            logger.warning("%s is unavailable for explanations: %s", console.title, failure)
            silent.append(console.title)
    return Explanation(of, answers, silent)


def explanation_text(found: Explanation) -> str:
    """The answers as text, each with its reasons and facts."""
    blocks = ["\n".join(_lines(answer)) for answer in found.answers]
    blocks += [f"{title} is unavailable." for title in found.silent]
    return "\n\n".join(blocks)


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.kind} {answer.subject}: {answer.headline}"
    yield from (f"  because {reason}" for reason in answer.because)
    yield from (f"  {name}: {value}" for name, value in answer.facts.items())

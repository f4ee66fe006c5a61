"""Explanations: every role is asked what it knows about an id, a symbol, an address or a key."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avo_project.console.registry import UNREACHABLE, Answer, HasPermission, consoles

logger = logging.getLogger(__name__)

LONGEST = 300
WHAT_TO_ASK = (
    "a throttle subject (user:…, org:…, address:…), an inbox, a touch id, a symbol or a signal id; "
    "symbol:AAPL asks for a symbol even if nothing is kept of it"
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """``answers`` of the roles that know it, and the titles of the roles that could not be asked."""

    of: str
    answers: Sequence[Answer]
    silent: Sequence[str]


def explain(of: str, has_permission: HasPermission) -> Explanation:
    """Asks the roles that the asker may see. Raises ValueError for what cannot be asked for."""
    of = of.strip()
    if not of or len(of) > LONGEST:
        raise ValueError(f"Ask for {WHAT_TO_ASK}.")
    if not of.isprintable():  # nothing of ours is named so
        return Explanation(of, (), ())
    answers: list[Answer] = []
    silent: list[str] = []
    for console in consoles():
        if not has_permission(console.permission):
            continue
        try:
            answers += console.explain(of, has_permission)
        except UNREACHABLE as failure:
            logger.warning("%s cannot explain anything now: %s", console.title, failure)
            silent.append(console.title)
    return Explanation(of, answers, silent)


def explanation_text(found: Explanation) -> str:
    """The answers one under the other, each with its reasons and its facts."""
    blocks = ["\n".join(_lines(answer)) for answer in found.answers]
    blocks += [f"{title} could not be asked." for title in found.silent]
    return "\n\n".join(blocks)


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.kind} {answer.subject}: {answer.headline}"
    yield from (f"  because {reason}" for reason in answer.because)
    yield from (f"  {name}: {value}" for name, value in answer.facts.items())

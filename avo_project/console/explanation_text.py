"""An explanation as lines for a terminal."""

from collections.abc import Iterator

from avo_project.console.explaining import Explanation
from avo_project.console.role_console import Answer


def explanation_text(found: Explanation) -> str:
    """The answers one under the other, each with its reasons and its facts."""
    blocks = ["\n".join(_lines(answer)) for answer in found.answers]
    blocks += [f"{title} could not be asked." for title in found.silent]
    return "\n\n".join(blocks)


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.kind} {answer.subject}: {answer.headline}"
    yield from (f"  because {reason}" for reason in answer.because)
    yield from (f"  {name}: {value}" for name, value in answer.facts.items())

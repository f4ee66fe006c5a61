"""Explanations: collects what every role knows about an id, for the admin, the command and ``GET /api/explain``."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from avo_project.console.registry import UNREACHABLE, Answer, HasPermission, consoles
from avo_project.http.problems import Problem

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


class AnswerShown(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.CharField(help_text="symbol, signal, touch, inbox or subject")
    subject = serializers.CharField()
    headline = serializers.CharField()
    because = serializers.ListField(child=serializers.CharField())
    facts = serializers.DictField(child=serializers.CharField())


class ExplanationShown(serializers.Serializer):  # type: ignore[type-arg]
    of = serializers.CharField()
    answers = AnswerShown(many=True)
    silent = serializers.ListField(child=serializers.CharField(), help_text="titles of unavailable roles")


class ExplainView(APIView):
    permission_classes = (IsAdminUser,)

    @extend_schema(
        parameters=[OpenApiParameter("of", str, required=True, description=f"The id to explain: {ACCEPTED_IDS}.")],
        responses=ExplanationShown,
    )
    def get(self, request: Request) -> Response:
        """Returns what each role knows about an id. Recipients require the payload permission."""
        try:
            found = explain(request.query_params.get("of", ""), request.user.has_perm)
        except ValueError as error:
            raise serializers.ValidationError({"of": [str(error)]}) from None
        if not found.answers and not found.silent:
            raise Problem(404, "nothing-known", f"No match found for {found.of!r}. Enter {ACCEPTED_IDS}.")
        return Response(asdict(found))

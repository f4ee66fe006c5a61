"""``GET /api/explain``: explains the state of an id, for staff."""

from dataclasses import asdict

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from avo_project.console.explain import ACCEPTED_IDS, explain
from avo_project.http.problems import Problem


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

"""``GET /api/limits``."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling.services import process
from throttling.services.inspection import window_stats
from throttling.services.rate_limiter import DECISION, Decision


class WindowStatsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    limit = serializers.IntegerField()
    window_seconds = serializers.IntegerField()
    remaining = serializers.IntegerField()
    reset_seconds = serializers.IntegerField(help_text="Seconds until units return.")
    shadow = serializers.BooleanField(help_text="A shadow policy counts requests but never rejects one.")


class LimitsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    subject = serializers.CharField(help_text="The user, organisation or address that the limits apply to.")
    tier = serializers.CharField()
    why = serializers.CharField()
    exact = serializers.BooleanField(help_text="False while the local fallback decides because Redis does not answer.")
    policies = WindowStatsSerializer(many=True)


class Limits(APIView):
    """The caller's tier, policies and remaining units. This request is not charged."""

    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Reads the windows before DRF rejects a method or a format, so that those responses have the fields too."""
        process.rate_limiter().test(request.META, request.user, cost=0)
        super().initial(request, *args, **kwargs)

    @extend_schema(responses=LimitsSerializer)
    def get(self, request: Request) -> Response:
        decision: Decision = request.META[DECISION]
        quota, outcome = decision.quota, decision.outcome
        body = {"subject": quota.subject, "tier": quota.tier, "why": quota.why, "exact": outcome.exact}
        return Response({**body, "policies": window_stats(outcome)})

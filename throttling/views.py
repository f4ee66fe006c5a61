"""``GET /api/limits``."""

from drf_spectacular.utils import extend_schema
from rest_framework.authentication import TokenAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling.authentication import ClerkAuthentication
from throttling.roles import process
from throttling.roles.inspection import standings
from throttling.serializers import LimitsSerializer


class Limits(APIView):
    """The caller's tier, policies and what is left of them. Asking costs nothing."""

    authentication_classes = (ClerkAuthentication, TokenAuthentication)
    throttle_classes = ()

    @extend_schema(responses=LimitsSerializer)
    def get(self, request: Request) -> Response:
        receipt = process.toll().peek(request.META, request.user)
        quota, outcome = receipt.quota, receipt.outcome
        body = {"subject": quota.subject, "tier": quota.tier, "why": quota.why, "exact": outcome.exact}
        return Response({**body, "policies": standings(outcome)}, headers={"Cache-Control": "no-store"})

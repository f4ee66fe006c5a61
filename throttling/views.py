"""``GET /api/limits``."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling.roles import process
from throttling.roles.inspection import standings
from throttling.roles.toll import RECEIPT, Receipt
from throttling.serializers import LimitsSerializer


class Limits(APIView):
    """The caller's tier, policies and what is left of them. Asking costs nothing."""

    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Looks before DRF refuses a method or a format, so that a refusal tells where the caller stands too."""
        process.toll().peek(request.META, request.user)
        super().initial(request, *args, **kwargs)

    @extend_schema(responses=LimitsSerializer)
    def get(self, request: Request) -> Response:
        receipt: Receipt = request.META[RECEIPT]
        quota, outcome = receipt.quota, receipt.outcome
        body = {"subject": quota.subject, "tier": quota.tier, "why": quota.why, "exact": outcome.exact}
        return Response({**body, "policies": standings(outcome)})

"""The events over HTTP."""

from math import ceil
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from signals_app.roles import inspection
from signals_app.roles.event_page import EventQuery, as_json
from signals_app.serializers import EventPageSerializer, EventQuerySerializer

_HIDDEN: dict[str, Any] = {"direction": None, "confidence": None, "extra": {}}
_PAYLOAD_FILTERS = ("direction", "min_confidence")
_READ_A_UNIT = 500


def may_see_payload(user: Any) -> bool:
    """Whether ``user`` may see what an event says. A customer and a plain service account may: it is what they came
    for. Who works in the admin (staff, or who has its view permission) needs the permission that the admin asks for."""
    works_in_admin = user.is_staff or user.has_perm("signals_app.view_livestream")
    return not works_in_admin or bool(user.has_perm("signals_app.view_event_payload"))


class SignedInView(APIView):
    """Anonymous callers are told to sign in."""

    permission_classes = (IsAuthenticated,)


class EventsView(SignedInView):
    @extend_schema(parameters=[EventQuerySerializer], responses=EventPageSerializer, operation_id="signals_list")
    def get(self, request: Request) -> Response:
        """Signals, newest first. A page may be short and still have a next one. Who works in the admin and may not see
        directions and confidences there gets null for them. Costs one unit for every 500 signals that were looked at:
        a filter that few signals pass costs up to 20."""
        asked = EventQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        hidden = {} if may_see_payload(request.user) else _HIDDEN
        if hidden and any(request.query_params.get(name) for name in _PAYLOAD_FILTERS):
            raise PermissionDenied("Filtering by direction or confidence needs the permission to see them.")
        page = inspection.events(EventQuery(**asked.validated_data))
        results = [as_json(entry_id, event) | hidden for entry_id, event in page.events]
        response = Response({"count": len(results), "next": page.next_before, "results": results})
        response.throttle_cost = ceil(page.read / _READ_A_UNIT)  # type: ignore[attr-defined]
        return response

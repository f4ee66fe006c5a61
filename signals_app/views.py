"""The events over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from signals_app.roles import inspection
from signals_app.roles.event_page import EventQuery, as_json
from signals_app.serializers import EventPageSerializer, EventQuerySerializer


class SignedInView(APIView):
    """Anonymous callers are told to sign in."""

    permission_classes = (IsAuthenticated,)


class EventsView(SignedInView):
    @extend_schema(parameters=[EventQuerySerializer], responses=EventPageSerializer, operation_id="signals_list")
    def get(self, request: Request) -> Response:
        """Signals, newest first. A page may be short and still have a next one."""
        asked = EventQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        page = inspection.events(EventQuery(**asked.validated_data))
        results = [as_json(entry_id, event) for entry_id, event in page.events]
        return Response({"count": len(results), "next": page.next_before, "results": results})

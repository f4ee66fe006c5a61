"""The events over HTTP."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from signals_app.roles import inspection
from signals_app.roles.event_page import EventQuery, as_json
from signals_app.serializers import EventPageSerializer, EventQuerySerializer


class SignedInView(APIView):
    """Callers sign in with a session token, an API token, or the admin's session."""

    authentication_classes = [
        *cast("list[type[BaseAuthentication]]", api_settings.DEFAULT_AUTHENTICATION_CLASSES),
        TokenAuthentication,
        SessionAuthentication,
    ]

    def get_authenticate_header(self, request: Request) -> str:
        return super().get_authenticate_header(request) or 'Bearer realm="api"'

    def check_permissions(self, request: Request) -> None:
        if not request.user.is_authenticated:
            raise NotAuthenticated("Sign in to see signals.")
        super().check_permissions(request)


class EventsView(SignedInView):
    @extend_schema(parameters=[EventQuerySerializer], responses=EventPageSerializer, operation_id="signals_list")
    def get(self, request: Request) -> Response:
        """Signals, newest first. A page may be short and still have a next one."""
        asked = EventQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        page = inspection.events(EventQuery(**asked.validated_data))
        results = [as_json(entry_id, event) for entry_id, event in page.events]
        return Response({"count": len(results), "next": page.next_before, "results": results})

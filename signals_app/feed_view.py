"""``GET /api/signals/stream``: the live feed, under an ASGI server."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from avo_project.problem_details import problem_response
from signals_app.conf import read_conf
from signals_app.roles.event_page import EventQuery
from signals_app.roles.event_source import EventSource
from signals_app.roles.live_feed import LiveFeed
from signals_app.serializers import FeedQuerySerializer
from signals_app.views import SignedInView, may_see_payload

_feed = LiveFeed()


class FeedGate(SignedInView):
    """Lets a caller in, or answers why not, before the stream begins."""

    @extend_schema(parameters=[FeedQuerySerializer], responses={(200, "text/event-stream"): str})
    def get(self, request: Request) -> Response:
        """Signals as Server-Sent Events. Send Last-Event-ID to go on where you were."""
        given = request.query_params.copy()
        given.setdefault("last_event_id", request.headers.get("Last-Event-ID", ""))
        asked = FeedQuerySerializer(data=given)
        asked.is_valid(raise_exception=True)
        if not may_see_payload(request.user):
            raise PermissionDenied("The live feed needs the permission to see directions and confidences.")
        return Response(asked.validated_data)


_gate = sync_to_async(FeedGate.as_view())


async def live_feed(request: HttpRequest) -> HttpResponseBase:
    """200 with an endless body; 401 and 400 as everywhere; 501 where the server cannot stream, 503 where it is full."""
    if not isinstance(request, ASGIRequest):
        return problem_response(
            501, "The live feed is not served at this address. Poll /api/signals instead.", "no-live-feed"
        )
    answer: Response = await _gate(request)
    if answer.status_code != 200:
        return answer
    asked = dict(answer.data)
    last_id = asked.pop("last_event_id")
    source = EventSource(_feed, EventQuery(**asked), last_id)
    if not _feed.admit(source, read_conf().feed_clients):
        detail = "The live feed has as many clients as it may have. Try again, or poll /api/signals."
        return problem_response(503, detail, "feed-full", headers={"Retry-After": "10"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(source.messages(), content_type="text/event-stream", headers=headers)


live_feed.cls = FeedGate  # type: ignore[attr-defined]  # it counts as this view, so its refusals are charged and tell limits
live_feed.initkwargs = {}  # type: ignore[attr-defined]

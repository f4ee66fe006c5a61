"""``GET /api/signals/stream``: the live feed, under an ASGI server."""

import logging
from copy import copy
from typing import Any

from django.contrib.auth import get_user
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from avo_project.http.problems import Problem
from avo_project.http.rendering import JSONBytesRenderer
from signals_app.api.views import FeedQuerySerializer, SignedInView, may_see_payload
from signals_app.conf import SignalsConf
from signals_app.services.event_page import EventQuery
from signals_app.services.feed_access import FeedAccess
from signals_app.services.live_feed import EventSource, LiveFeed, StreamEnd

logger = logging.getLogger(__name__)

_MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_DESCRIPTION = """\
New signals as Server-Sent Events. A client that reconnects with `Last-Event-ID` (or `?last_event_id=`; the header takes
precedence) continues after that entry.

| event | meaning |
|---|---|
| `signal` | `id` is the entry id, `data` the signal as in `/api/signals` |
| `gap` | entries after the id in `data` were trimmed before they could be sent, or the stream was restored to before \
that id; then it continues from the newest entry, whose id the event has |
| `reauthenticate` | the credential has expired; the stream ends. Reconnect with a new one to continue |
| `dropped` | the client reads too slowly or has lost its place; the stream ends |

`"streams"` in `RateLimit-Policy` is the maximum of concurrent streams of an account; one more is a 429 and costs
nothing. Opening a stream costs one unit, and every 500 entries of its backlog cost one more; without units the backlog
waits.

The `EventSource` of browsers cannot send an `Authorization` header, and a token does not belong in a URL, because URLs
are logged. Use a client based on `fetch`, such as the npm package `eventsource`, which gets a token for each connection
and reconnects automatically:

```js
import { EventSource } from "eventsource";

const source = new EventSource("/api/signals/stream?symbol=EURUSD%3DX", {
  fetch: async (url, init) =>
    fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${await getToken()}` } }),
});
source.addEventListener("signal", (event) => console.log(event.lastEventId, JSON.parse(event.data)));
```

`getToken` is `() => Clerk.session.getToken()` with Clerk. A page of another origin needs the absolute URL of this API,
and its origin in `CORS_ALLOWED_ORIGINS`. On the same site, users signed in to the admin can use the `EventSource` of
the browser, which sends the session cookie.
"""


class EventStreamRenderer(BaseRenderer):
    """Makes content negotiation accept the media type; the view renders the stream itself."""

    media_type = _MEDIA_TYPE
    format = "event-stream"


_feed = LiveFeed()


class FeedView(SignedInView):
    """200 with an endless body; 501 under a server that cannot stream, 503 without a free place."""

    renderer_classes = (EventStreamRenderer,)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self._http_request = request

    def get_renderers(self) -> list[BaseRenderer]:
        """OPTIONS is answered in JSON."""
        if self.request is not None and self.request.method == "OPTIONS":
            return [JSONBytesRenderer()]
        return super().get_renderers()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)  # an invalid credential is a 401 under every server
        if not hasattr(request, "scope"):  # every request of an ASGI server has it
            raise Problem(
                501, "no-live-feed", "The live feed is not served at this address. Poll /api/signals instead."
            )
        super().initial(request, *args, **kwargs)

    def check_throttles(self, request: Request) -> None:
        """A GET is charged once it has a place, because a rejected one costs nothing."""
        if request.method != "GET":
            super().check_throttles(request)

    @extend_schema(parameters=[FeedQuerySerializer], responses={(200, _MEDIA_TYPE): str}, description=_DESCRIPTION)
    def get(self, request: Request) -> HttpResponseBase:
        parameters = _feed_parameters(request)
        last_id = parameters.pop("last_event_id")
        access: FeedAccess = import_string(SignalsConf.load().feed_access)(request)
        source = EventSource(
            _feed,
            EventQuery(**parameters),
            last_id,
            access=access,
            valid_until=getattr(request.auth, "valid_until", None),
            check_credential=self._check_credential,
        )
        try:
            _admit(source)
            super().check_throttles(request)
        except Exception:
            _feed.remove_client(source)
            source.release()
            raise
        finally:
            connections.close_all()  # a stream lasts for hours and would keep them
        return StreamingHttpResponse(source.messages(), content_type=_MEDIA_TYPE, headers=_HEADERS)

    @extend_schema(exclude=True)
    def head(self, request: Request) -> HttpResponse:
        """Headers only, without taking a place in the feed."""
        _feed_parameters(request)
        return HttpResponse(content_type=_MEDIA_TYPE, headers=_HEADERS)

    def _check_credential(self) -> None:
        """Raises StreamEnd if the same request would be rejected now. Errors of our own end no stream."""
        request = self.initialize_request(_renewed(self._http_request))
        try:
            self.perform_authentication(request)
            self.check_permissions(request)
            _check_payload(request)
        except APIException as refused:
            if refused.status_code in (401, 403):
                raise StreamEnd("reauthenticate", str(refused.detail)) from None
            logger.warning("a credential of the live feed could not be checked: %s", refused.detail)
        except (DatabaseError, RedisError) as failure:
            logger.warning("a credential of the live feed could not be checked: %s", failure)


def _admit(source: EventSource) -> None:
    if not _feed.add_client(source, SignalsConf.load().feed_clients):
        detail = "The live feed has no free place. Try again later, or poll /api/signals."
        raise Problem(503, "feed-full", detail, headers={"Retry-After": "10"})


def _renewed(request: HttpRequest) -> HttpRequest:
    """A copy of the request whose session and user are loaded again."""
    again = copy(request)
    again.META = dict(request.META)
    again.session = type(request.session)(request.session.session_key)
    again.user = SimpleLazyObject(lambda: get_user(again))  # type: ignore[assignment]
    return again


def _feed_parameters(request: Request) -> dict[str, Any]:
    """The validated parameters. The header takes precedence: a browser that reconnects sends both, the header with the
    newer id."""
    given = request.query_params.copy()
    if header := request.headers.get("Last-Event-ID"):
        given["last_event_id"] = header
    parameters = FeedQuerySerializer(data=given)
    parameters.is_valid(raise_exception=True)
    _check_payload(request)
    return dict(parameters.validated_data)


def _check_payload(request: Request) -> None:
    if not may_see_payload(request.user):
        raise PermissionDenied("The live feed requires the permission to see directions and confidences.")

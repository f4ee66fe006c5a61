"""The touches API, and the unsubscribe page linked in every mail."""

import time
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from avo_project.http.problems import MEDIA_TYPE, Problem, only_methods
from outreach.api.serializers import TouchAccepted, TouchRequest, TouchShown, shown
from outreach.domain.fields import TouchError
from outreach.domain.touch import MAX_BODY_BYTES, KeyReusedError, UnknownInboxError
from outreach.models import Touch
from outreach.services.intake import Intake
from outreach.services.suppression import suppress, touch_of_token
from outreach.services.waiting import touch_waiting
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes

# JSON may encode each byte of a body in six characters.
_MAX_REQUEST_BYTES = 6 * MAX_BODY_BYTES + 100_000


_KEY_REUSED = OpenApiResponse({"type": "object"}, "The account has used this idempotency_key for another touch.")


class TouchPermission(BasePermission):
    """POST requires ``outreach.add_touch``; GET requires ``outreach.add_touch`` or ``outreach.view_touch``."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        enough = {"outreach.add_touch"} | ({"outreach.view_touch"} if request.method == "GET" else set())
        return bool(request.user and request.user.is_authenticated and any(map(request.user.has_perm, enough)))


def may_see_payload(user: Any, touch: Touch) -> bool:
    """Whether ``user`` may see the recipient and contents: the account that queued the touch, or with the permission
    ``view_touch_payload``."""
    return bool(touch.owner == _owner(user) or user.has_perm("outreach.view_touch_payload"))


def _owner(user: Any) -> str:
    return f"user:{user.pk}"


class TouchesView(APIView):
    permission_classes = (TouchPermission,)

    @extend_schema(request=TouchRequest, responses={202: TouchAccepted, (422, MEDIA_TYPE): _KEY_REUSED})
    def post(self, request: Request) -> Response:
        """Queue a touch. Repeating a request with the same ``idempotency_key`` returns the existing touch."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > _MAX_REQUEST_BYTES:
            raise Problem(413, "too-large", f"body: at most {MAX_BODY_BYTES} bytes are allowed.")
        try:
            accepted = Intake.connect(time.time).accept(request.data, _owner(request.user))
        except UnknownInboxError as error:
            advice = f"{error.message}; check the spelling, or ask the operator of this service to create it"
            raise exceptions.ValidationError({error.field: [advice]}) from None
        except KeyReusedError as error:
            raise Problem(422, "idempotency-key-reused", str(error)) from None
        except TouchError as error:
            raise exceptions.ValidationError({error.field: [error.message]}) from None
        return Response({"id": accepted.touch_id, "status": accepted.status}, status=202)


class TouchView(APIView):
    permission_classes = (TouchPermission,)

    @extend_schema(parameters=[OpenApiParameter("touch_id", UUID, OpenApiParameter.PATH)], responses=TouchShown)
    def get(self, request: Request, touch_id: str) -> Response:
        """Get a touch: its state, its attempts, why it waits and until when."""
        touch = get_object_or_404(Touch.objects.select_related("inbox"), pk=_uuid(touch_id))
        view = QueueView.connect()
        with_payload = may_see_payload(request.user, touch)
        return Response(shown(touch, touch_waiting(touch, view, view.now_ms()), with_payload=with_payload))


def _uuid(text: str) -> UUID:
    """Accepts any letter case, as RFC 9562, 4 requires; Django's converter accepts lower case only. Raises Http404."""
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


@only_methods("GET", "HEAD", "POST")
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """``POST`` suppresses the recipient (RFC 8058); ``GET`` only shows the form, because mail scanners follow links."""
    touch = touch_of_token(token)
    if touch is None:
        raise Http404
    is_done = request.method == "POST"
    if is_done:
        suppress(touch.recipient_key, touch.recipient, "unsubscribed", Lanes.connect())
    context: dict[str, Any] = {"is_done": is_done, "inbox": touch.inbox.address}
    return render(request, "outreach/unsubscribe.html", context)

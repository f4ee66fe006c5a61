"""``POST /webhooks/clerk``: stores the plan changes that Clerk reports."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from standardwebhooks.webhooks import WebhookVerificationError

from avo_project.http.problems import Problem
from throttling.conf import ThrottlingConf
from throttling.domain.webhook_events import EventError, PlanEvent, read_event, usable_signatures
from throttling.models import PlanChange

_LONGEST_ID = 80  # the column has 100; further changes of a message get a suffix


class ClerkWebhook(APIView):
    """Accepts signed messages up to five minutes old, each once and in any order."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if ThrottlingConf.load().webhook is None:
            raise Http404
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        message_id, sent_at, event = _verified(request)
        try:
            changes = read_event(event, sent_at)
        except EventError as error:
            raise Problem(422, "unusable-event", str(error)) from None
        return Response({"status": _keep(message_id, changes) if changes else "ignored"})


def _verified(request: Request) -> tuple[str, float, Any]:
    """The message's id, when it was sent (Unix seconds), and the event."""
    webhook = ThrottlingConf.load().webhook
    assert webhook is not None  # else the route answers 404
    # Svix signs by the Standard Webhooks scheme under header names of its own.
    signed = {f"webhook-{part}": request.headers.get(f"svix-{part}", "") for part in ("id", "timestamp", "signature")}
    signed["webhook-signature"] = usable_signatures(signed["webhook-signature"])
    try:
        event = webhook.verify(request.body, signed)
        return _kept_id(signed["webhook-id"]), float(signed["webhook-timestamp"]), event
    except WebhookVerificationError as error:
        raise Problem(400, "bad-signature", f"The signature is invalid or the message too old: {error}") from None
    except (ValueError, RecursionError):  # the parser's message is not for callers
        raise Problem(400, "bad-signature", "The body is not valid JSON.") from None


def _kept_id(message_id: str) -> str:
    """The stored message id. Svix uses about 30 characters; an id too long for the column is hashed."""
    return message_id if len(message_id) <= _LONGEST_ID else hashlib.sha256(message_id.encode()).hexdigest()


def _keep(message_id: str, changes: list[PlanEvent]) -> str:
    rows = [
        PlanChange(
            message_id=f"{message_id}#{place}" if place else message_id,
            subject=change.subject,
            plan=change.plan,
            is_active=change.is_active,
            event_type=change.event_type,
            event_at=datetime.fromtimestamp(change.at, UTC),
        )
        for place, change in enumerate(changes)
    ]
    with transaction.atomic():
        if PlanChange.objects.filter(message_id=message_id).exists():
            return "duplicate"
        PlanChange.objects.bulk_create(rows, ignore_conflicts=True)
    return "stored"

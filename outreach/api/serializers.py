"""Requests and responses of the touches API."""

from typing import Any

from rest_framework import serializers

from avo_project.lib.redaction import redacted
from outreach.models import Attempt, Touch
from outreach.services.waiting import Waiting

_PAYLOAD = ("recipient", "subject", "idempotency_key")


class TouchRequest(serializers.Serializer[Any]):
    """A touch to queue."""

    inbox = serializers.CharField()
    recipient = serializers.CharField()
    subject = serializers.CharField(required=False)
    body = serializers.CharField()
    metadata = serializers.DictField(required=False)
    not_before = serializers.CharField(required=False, help_text="ISO 8601 time or Unix seconds")
    idempotency_key = serializers.CharField(required=False)


class TouchAccepted(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Touch.Status.choices)


class AttemptShown(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ("outcome", "code", "detail", "started_at", "finished_at")


class TouchShown(serializers.Serializer[Any]):
    """A touch, its attempts and why it waits; ``waiting_*`` are null when nothing delays it.

    ``recipient``, ``subject`` and ``idempotency_key`` are null without permission to see the payload.
    """

    id = serializers.UUIDField()
    inbox = serializers.CharField()
    recipient = serializers.CharField(allow_null=True)
    subject = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Touch.Status.choices)
    reason = serializers.CharField()
    attempts = serializers.IntegerField()
    waiting_reason = serializers.CharField(allow_null=True)
    waiting_until = serializers.DateTimeField(allow_null=True)
    waiting_text = serializers.CharField()
    idempotency_key = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    history = AttemptShown(many=True)


def shown(touch: Touch, waiting: Waiting, *, with_payload: bool) -> dict[str, Any]:
    """The body of a GET; without payload, the recipient is left out and replies are redacted."""
    history = AttemptShown(touch.attempts.order_by("pk"), many=True).data
    body = {
        "id": str(touch.pk),
        "inbox": touch.inbox.address,
        "recipient": touch.recipient,
        "subject": touch.subject,
        "status": waiting.status,
        "reason": touch.reason,
        "attempts": touch.tries,
        "waiting_reason": waiting.reason,
        "waiting_until": waiting.until,
        "waiting_text": waiting.text,
        "idempotency_key": touch.idempotency_key,
        "created_at": touch.created_at,
        "finished_at": touch.finished_at,
        "history": history,
    }
    if with_payload:
        return body
    redacted_fields = {"reason": redacted(touch.reason), "waiting_text": redacted(waiting.text)}
    attempts = [{**one, "detail": redacted(one["detail"])} for one in history]
    return body | dict.fromkeys(_PAYLOAD) | redacted_fields | {"history": attempts}

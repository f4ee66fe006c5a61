"""Requests and responses of the touches API."""

from typing import Any

from rest_framework import serializers

from avo_project.lib.redaction import redacted
from outreach.domain.fields import MAX_RECIPIENT_CHARACTERS
from outreach.domain.mail_parts import (
    MAX_MESSAGE_ID_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_REFERENCES,
    MAX_TAGS,
    TAG,
    MailParts,
)
from outreach.domain.touch import MAX_BODY_BYTES
from outreach.models import Attempt, Touch
from outreach.services.waiting import Waiting

_PAYLOAD = ("recipient", "subject", "idempotency_key", "tags")


class TouchRequest(serializers.Serializer[Any]):
    """A touch to queue. The fields from ``display_name`` to ``references`` are for e-mail inboxes only."""

    inbox = serializers.CharField()
    recipient = serializers.CharField()
    subject = serializers.CharField(required=False)
    body = serializers.CharField()
    metadata = serializers.DictField(required=False)
    not_before = serializers.CharField(required=False, help_text="ISO 8601 time or Unix seconds")
    idempotency_key = serializers.CharField(required=False)
    display_name = serializers.CharField(
        required=False, max_length=MAX_NAME_CHARACTERS, help_text="Sender's name in the mail; default: the inbox's."
    )
    reply_to = serializers.EmailField(
        required=False, max_length=MAX_RECIPIENT_CHARACTERS, help_text="Address for replies; default: the inbox's."
    )
    html = serializers.CharField(
        required=False, help_text=f"HTML form beside the text in `body`; both together at most {MAX_BODY_BYTES} bytes."
    )
    in_reply_to = serializers.CharField(
        required=False,
        max_length=MAX_MESSAGE_ID_CHARACTERS,
        help_text="Continues a thread: a Message-ID (`<a@example.com>`), or the id of an earlier touch of the inbox.",
    )
    references = serializers.ListField(
        child=serializers.CharField(max_length=MAX_MESSAGE_ID_CHARACTERS),
        required=False,
        max_length=MAX_REFERENCES,
        help_text="Earlier messages of the thread, oldest first; `in_reply_to` is added as the last one.",
    )
    tags = serializers.ListField(
        child=serializers.RegexField(TAG, max_length=64),
        required=False,
        max_length=MAX_TAGS,
        help_text="Labels for statistics: printable ASCII without blanks and commas.",
    )


class TouchAccepted(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Touch.Status.choices)


class AttemptShown(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ("outcome", "code", "detail", "started_at", "finished_at")


class TouchShown(serializers.Serializer[Any]):
    """A touch, its attempts and why it waits; ``waiting_*`` are null when nothing delays it.

    ``recipient``, ``subject``, ``idempotency_key`` and ``tags`` are null without permission to see the payload.
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
    tags = serializers.ListField(child=serializers.CharField(), allow_null=True)
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
        "tags": MailParts.from_json(touch.mail).tags,
        "created_at": touch.created_at,
        "finished_at": touch.finished_at,
        "history": history,
    }
    if with_payload:
        return body
    redacted_fields = {"reason": redacted(touch.reason), "waiting_text": redacted(waiting.text)}
    attempts = [{**one, "detail": redacted(one["detail"])} for one in history]
    return body | dict.fromkeys(_PAYLOAD) | redacted_fields | {"history": attempts}

"""``GET /api/signals``: its filters, its pages and its serializers."""

import re
from math import ceil
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from avo_project.lib.decimals import decimal_of
from signals_app.domain import entry
from signals_app.domain.event import DIRECTIONS
from signals_app.services import inspection
from signals_app.services.event_page import EventQuery, as_json


def _entry_id(value: str) -> str:
    try:
        return value and "{}-{}".format(*entry.order(value))
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None


class _DecimalField(serializers.FloatField):
    """Refuses ``0_1``, spaces and digits of other scripts, which float() accepts."""

    def to_internal_value(self, data: Any) -> float:
        number = decimal_of(str(data).encode(errors="replace"))
        if number is None:
            self.fail("invalid")
        return number


class _WholeField(serializers.IntegerField):
    """Digits 0 to 9 only; int() also accepts those of other scripts, and ``1_0``."""

    def to_internal_value(self, data: Any) -> int:
        if re.fullmatch(r"-?[0-9]+", str(data)) is None:
            self.fail("invalid")
        return super().to_internal_value(data)


class EventFilterSerializer(serializers.Serializer[Any]):
    """Filters of a query string. Unknown and repeated parameters are errors as well."""

    symbol = serializers.CharField(max_length=64, default="", allow_blank=True, help_text="Case-insensitive")
    direction = serializers.ChoiceField(choices=sorted(DIRECTIONS), default="", allow_blank=True)
    min_confidence = _DecimalField(min_value=0, max_value=1, default=0.0)

    def validate_symbol(self, value: str) -> str:
        if re.fullmatch(r"[!-~]*", value) is None:
            raise serializers.ValidationError("A symbol is printable ASCII without spaces, like BTC/USDT.")
        return value.upper()

    def to_internal_value(self, data: QueryDict) -> Any:
        errors = {name: [f"Given {len(texts)} times; give it once."] for name, texts in data.lists() if len(texts) > 1}
        for name in set(data) - set(self.fields):
            errors[name] = [f"This route has no such parameter. It takes {', '.join(self.fields)}."]
        try:
            found = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **errors}) from error  # type: ignore[dict-item]
        if errors:
            raise serializers.ValidationError(errors)
        return found


class EventQuerySerializer(EventFilterSerializer):
    limit = _WholeField(min_value=1, max_value=1_000, default=50)
    before = serializers.CharField(max_length=41, default="", allow_blank=True)

    def validate_before(self, value: str) -> str:
        return _entry_id(value)


class FeedQuerySerializer(EventFilterSerializer):
    last_event_id = serializers.CharField(max_length=41, default="", allow_blank=True)

    def validate_last_event_id(self, value: str) -> str:
        return _entry_id(value)


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Entry id in the stream, <Unix ms>-<sequence>")
    signal_id = serializers.UUIDField()
    symbol = serializers.CharField()
    direction = serializers.ChoiceField(choices=sorted(DIRECTIONS), allow_null=True)
    confidence = serializers.FloatField(min_value=0, max_value=1, allow_null=True)
    published_at = serializers.IntegerField(allow_null=True, help_text="Unix milliseconds")
    extra = serializers.DictField(child=serializers.CharField(), help_text="Additional fields of the publisher")


class EventPageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Events on this page")
    next = serializers.CharField(allow_null=True, help_text="Pass it as ?before= for older events")
    results = EventSerializer(many=True)


_HIDDEN: dict[str, Any] = {"direction": None, "confidence": None, "extra": {}}
_PAYLOAD_FILTERS = ("direction", "min_confidence")
_READ_A_UNIT = 500


def may_see_payload(user: Any) -> bool:
    """Whether ``user`` may see directions and confidences. Customers and service accounts may; users of the admin
    (staff, or with its view permission) need the permission that the admin requires."""
    works_in_admin = user.is_staff or user.has_perm("signals_app.view_livestream")
    return not works_in_admin or bool(user.has_perm("signals_app.view_event_payload"))


class SignedInView(APIView):
    """Requires authentication."""

    permission_classes = (IsAuthenticated,)


class EventsView(SignedInView):
    @extend_schema(parameters=[EventQuerySerializer], responses=EventPageSerializer, operation_id="signals_list")
    def get(self, request: Request) -> Response:
        """Signals, newest first. A page may be short and still have a next page. Direction and confidence are null for
        admin users without the permission to see them. Costs one unit per 500 signals read, up to 20 for a filter with
        few matches."""
        asked = EventQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        hidden = {} if may_see_payload(request.user) else _HIDDEN
        if hidden and any(request.query_params.get(name) for name in _PAYLOAD_FILTERS):
            raise PermissionDenied("Filtering by direction or confidence requires the permission to see them.")
        page = inspection.events(EventQuery(**asked.validated_data))
        results = [as_json(entry_id, event) | hidden for entry_id, event in page.events]
        response = Response({"count": len(results), "next": page.next_before, "results": results})
        response.throttle_cost = ceil(page.read / _READ_A_UNIT)  # type: ignore[attr-defined]
        return response

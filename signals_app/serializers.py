"""What callers of the API may ask for, and what they get."""

import re
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from avo_project.lib.decimals import decimal_of
from signals_app.rules import entry_id
from signals_app.rules.event import DIRECTIONS


def _entry_id(value: str) -> str:
    try:
        return value and "{}-{}".format(*entry_id.order(value))
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None


class _DecimalField(serializers.FloatField):
    """Without ``0_1``, blanks and digits of other scripts, which float() takes."""

    def to_internal_value(self, data: Any) -> float:
        number = decimal_of(str(data).encode(errors="replace"))
        if number is None:
            self.fail("invalid")
        return number


class _WholeField(serializers.IntegerField):
    """Of the digits 0 to 9 alone: int() takes those of other scripts, and ``1_0``."""

    def to_internal_value(self, data: Any) -> int:
        if re.fullmatch(r"-?[0-9]+", str(data)) is None:
            self.fail("invalid")
        return super().to_internal_value(data)


class EventFilterSerializer(serializers.Serializer[Any]):
    """Of a query string. Refuses, with every other bad field, parameters that do not exist or come twice."""

    symbol = serializers.CharField(max_length=64, default="", allow_blank=True, help_text="In any letter case")
    direction = serializers.ChoiceField(choices=sorted(DIRECTIONS), default="", allow_blank=True)
    min_confidence = _DecimalField(min_value=0, max_value=1, default=0.0)

    def validate_symbol(self, value: str) -> str:
        if re.fullmatch(r"[!-~]*", value) is None:
            raise serializers.ValidationError("A symbol is printable ASCII without spaces, like BTC/USDT.")
        return value.upper()

    def to_internal_value(self, data: QueryDict) -> Any:
        errors = {
            name: [f"This is given {len(texts)} times; give it once."] for name, texts in data.lists() if len(texts) > 1
        }
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
    extra = serializers.DictField(child=serializers.CharField(), help_text="Fields the publisher added")


class EventPageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Events on this page")
    next = serializers.CharField(allow_null=True, help_text="Pass it as ?before= for older events")
    results = EventSerializer(many=True)

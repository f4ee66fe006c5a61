"""What callers of the API may ask for, and what they get."""

from typing import Any

from rest_framework import serializers

from signals_app.rules import entry_id
from signals_app.rules.event import DIRECTIONS


def _entry_id(value: str) -> str:
    try:
        return value and "{}-{}".format(*entry_id.order(value))
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None


class EventFilterSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField(max_length=64, default="", allow_blank=True)
    direction = serializers.ChoiceField(choices=sorted(DIRECTIONS), default="", allow_blank=True)
    min_confidence = serializers.FloatField(min_value=0, max_value=1, default=0.0)


class EventQuerySerializer(EventFilterSerializer):
    limit = serializers.IntegerField(min_value=1, max_value=1_000, default=50)
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

"""The shape of ``GET /api/limits``, for the schema."""

from rest_framework import serializers


class PolicyStandingSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    limit = serializers.IntegerField()
    window_seconds = serializers.IntegerField()
    remaining = serializers.IntegerField()
    reset_seconds = serializers.IntegerField(help_text="Until more is left than now.")
    shadow = serializers.BooleanField(help_text="It counts but refuses nothing.")


class LimitsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    subject = serializers.CharField(help_text="Whom the limits count for: user, organisation or address.")
    tier = serializers.CharField()
    why = serializers.CharField()
    exact = serializers.BooleanField(help_text="False while only this process counts.")
    policies = PolicyStandingSerializer(many=True)

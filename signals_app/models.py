"""Executions, and the live stream as an admin page."""

from typing import ClassVar

from django.db import models


class Execution(models.Model):
    """A simulated (paper-trading) execution; unique per signal, however often its event is delivered."""

    signal_id = models.UUIDField(unique=True)
    symbol = models.CharField(max_length=64)
    direction = models.CharField(max_length=5)
    confidence = models.FloatField()
    executed_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.direction} {self.symbol}"


class LiveStream(models.Model):
    """No table: the admin page of ``signals:live`` and the permissions of its actions."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        verbose_name = "signal stream"
        verbose_name_plural = "signal stream"
        permissions: ClassVar = [
            ("view_event_payload", "Can see directions and confidences of events"),
            ("claim_deliveries", "Can free the deliveries of dead consumers"),
            ("acknowledge_deliveries", "Can acknowledge deliveries unhandled"),
            ("bury_deliveries", "Can move deliveries to the dead letters"),
            ("redrive_dead_letters", "Can publish dead letters again"),
            ("replay_events", "Can deliver a range again to a group"),
            ("trim_stream", "Can trim the stream"),
            ("forget_groups", "Can forget a group"),
        ]

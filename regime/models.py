"""Macro series with every vintage of every value, and the page over the regime cache."""

from django.db import models


class MacroSeries(models.Model):
    """One statistic, such as the unemployment rate."""

    id = models.CharField("series", max_length=64, primary_key=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "macro series"

    def __str__(self) -> str:
        return self.id


class MacroObservation(models.Model):
    """The value of a series for a date, as published in a vintage. A revision is a further row, never a changed one."""

    series = models.ForeignKey(MacroSeries, on_delete=models.CASCADE, related_name="observations")
    date = models.DateField(help_text="The period that the value is for.")
    vintage = models.DateField(help_text="The day on which it was published.")
    value = models.FloatField()

    class Meta:
        ordering = ["series", "date", "vintage"]
        constraints = [
            models.UniqueConstraint(fields=["series", "date", "vintage"], name="one_value_a_vintage"),
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.date} ({self.vintage})"


class RegimeCache(models.Model):
    """A model without a table, for the admin page of the live states and its permissions."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = [
            ("backfill_ttl", "Can give states without expiry their remaining life"),
            ("refresh_collection", "Can rebuild the collection"),
        ]
        verbose_name = "regime cache"
        verbose_name_plural = "regime cache"

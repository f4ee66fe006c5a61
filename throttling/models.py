"""Database models: tier overrides, plan changes and API keys; and the unmanaged model of the rate-limit page."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from throttling.conf import ThrottlingConf
from throttling.domain import subjects
from throttling.domain.policies import RatesError, parse_policies


class TierOverride(models.Model):
    """The tier or rates of one subject; rates take precedence. Takes effect within 5 s in every process."""

    subject = models.CharField(max_length=160, unique=True, help_text="user:<id>, org:<id> or address:<address>.")
    tier = models.CharField(max_length=64, blank=True, help_text="A tier of THROTTLE_RATES.")
    rates = models.CharField(max_length=200, blank=True, help_text="Rates of its own, for example 200/min,10000/day.")
    reason = models.CharField(max_length=300, help_text="Why this customer is an exception.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField("until", null=True, blank=True, help_text="Empty: until it is deleted.")

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return f"{self.subject}: {self.rates or self.tier}"

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        try:
            self.subject = subjects.normal(self.subject)
        except ValueError as error:
            errors["subject"] = str(error)
        if self.subject.startswith(("bad_token:", "login:")):
            errors["subject"] = "Bad tokens and failed log-ins cannot be overridden. Set their limit in THROTTLE_RATES."
        known = ThrottlingConf.load().rates
        if not (self.tier or self.rates):
            errors["tier"] = "Enter a tier or rates."
        elif self.tier and self.tier not in known:
            errors["tier"] = f"{self.tier!r} is not a tier. The tiers are {', '.join(sorted(known))}."
        try:
            parse_policies(self.rates) if self.rates else None
        except RatesError as error:
            errors["rates"] = str(error)
        if errors:
            raise ValidationError(errors)


class PlanChange(models.Model):
    """A report from Clerk that a plan of ``subject`` became active or ended. Rows are never changed."""

    message_id = models.CharField(max_length=100, unique=True)
    subject = models.CharField(max_length=160)
    plan = models.CharField(max_length=100)
    is_active = models.BooleanField()
    event_type = models.CharField(max_length=60)
    event_at = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-event_at"]
        indexes = [models.Index(fields=["subject", "event_at"])]

    def __str__(self) -> str:
        return f"{self.subject}: {self.plan} {'active' if self.is_active else 'ended'}"


class APIKey(models.Model):
    """An API key of a service account. Only the ``digest`` of its text is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys", verbose_name="account")
    name = models.CharField(max_length=100, help_text="What uses it, for example: nightly campaign.")
    shown = models.CharField("begins with", max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list, blank=True, help_text="None: whatever its account may do.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is revoked.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    text: str | None = None  # not a column: set once, for the page that shows a new key

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ["-created_at"]
        permissions = [("operate_apikey", "Can revoke API keys")]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"


class RateLimits(models.Model):
    """Unmanaged model of the admin page over the windows in Redis."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = [
            ("reset_subject", "Can reset a subject's windows"),
            ("override_subject", "Can override a subject's tier"),
        ]
        verbose_name = "rate limits"
        verbose_name_plural = "rate limits"

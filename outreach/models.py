"""The ledger in the database: inboxes, touches and their states, attempts, and suppressed recipients."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Lower

from outreach.conf import OutreachConf
from outreach.domain.channels import CHANNELS, EMAIL
from outreach.domain.inbox_rules import SERVER, InboxRules, WarmUp
from outreach.domain.inbox_settings import InboxError, check_inbox
from outreach.domain.mail_parts import MAX_NAME_CHARACTERS
from outreach.domain.sending_window import SendingWindow
from outreach.domain.touch import mailbox

_CHANNEL_CHOICES = [(name, channel.label) for name, channel in CHANNELS.items()]


class Inbox(models.Model):
    """A sending address and its limits; an empty limit means no limit.

    ``held_until``: nothing is sent before, for ``hold_reason`` (``reservation.HoldReason``) and ``hold_detail`` (the
    server's reply); ``holds`` counts the holds since the last send. ``guarded_attempt``: the last attempt that
    ``refusal_guard`` has seen when it paused the inbox.
    ``shares_mailbox``: an older inbox has the same mailbox in another spelling, created before that was prevented.
    """

    address = models.CharField(max_length=254, unique=True)
    channel = models.CharField(max_length=10, choices=_CHANNEL_CHOICES, default=EMAIL)
    url = models.CharField(
        max_length=500, blank=True, help_text="URL that touches are posted to, on channels that need one."
    )
    display_name = models.CharField(
        max_length=MAX_NAME_CHARACTERS, blank=True, default="", db_default="", help_text="Name of the sender in mails."
    )
    reply_to = models.CharField(
        max_length=254, blank=True, default="", db_default="", help_text="Address for replies, if not the inbox's own."
    )
    per_minute = models.PositiveIntegerField(null=True, blank=True)
    per_day = models.PositiveIntegerField(null=True, blank=True)
    min_gap_seconds = models.FloatField(null=True, blank=True)
    window_opens = models.TimeField(null=True, blank=True)
    window_closes = models.TimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    paused = models.BooleanField(default=False)
    pause_reason = models.CharField(max_length=300, blank=True)
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    hold_reason = models.CharField(max_length=10, blank=True, default="", db_default="", editable=False)
    hold_detail = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    holds = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    guarded_attempt = models.BigIntegerField(default=0, db_default=0, editable=False)
    warm_up_began = models.DateField(null=True, blank=True)
    warm_up_start = models.PositiveIntegerField(null=True, blank=True)
    warm_up_step = models.PositiveIntegerField(null=True, blank=True)
    warm_up_target = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True, db_index=True)
    shares_mailbox = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name_plural = "inboxes"
        permissions = [("operate_inbox", "Can pause and resume inboxes")]
        constraints = [
            models.UniqueConstraint(
                Lower("address"),
                condition=models.Q(channel=EMAIL, shares_mailbox=False),
                name="outreach_inbox_mailbox",
            )
        ]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        try:
            check_inbox(self, allow_private_hosts=OutreachConf.load().allow_private_hosts)
        except InboxError as error:
            raise ValidationError(str(error)) from None
        twin = None if self.shares_mailbox else inboxes_of([mailbox(self.address)]).exclude(pk=self.pk).first()
        if twin is not None and self.channel == EMAIL:
            raise ValidationError({"address": f"this is the mailbox of {twin}; change that inbox"})

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Warns of inboxes that share a mailbox, with ``check --database``."""
        found: list[CheckMessage] = super().check(**kwargs)
        return found + [warning for alias in kwargs["databases"] or () for warning in _twins(alias)]

    @property
    def rules(self) -> InboxRules:
        zone = ZoneInfo(self.timezone)
        window = None
        if self.window_opens is not None and self.window_closes is not None:
            window = SendingWindow(self.window_opens, self.window_closes, zone)
        return InboxRules(
            self.per_minute,
            self.per_day,
            self.min_gap_seconds,
            window,
            self.paused,
            _warm_up(self),
            zone,
            self.hold_reason or SERVER,
        )

    @property
    def held_until_ms(self) -> int:
        return 0 if self.held_until is None else round(self.held_until.timestamp() * 1000)

    def release(self) -> None:
        """Ends a hold, without saving."""
        self.held_until, self.hold_reason, self.hold_detail, self.holds = None, "", "", 0


def _twins(alias: str) -> list[CheckMessage]:
    if ("outreach", "0004_mailboxes") not in MigrationRecorder(connections[alias]).applied_migrations():
        return []
    # "migrate" runs this check on the tables of the version before: only columns of that migration may be read.
    twins = Inbox.objects.using(alias).filter(shares_mailbox=True, paused=False).only("address", "channel")
    return [
        Warning(
            f"the inbox {twin} has the same mailbox as another inbox, and each may send up to its own limits",
            hint=f"Pause it (set_inbox {twin} --pause), or set limits that add up to the mailbox's limit.",
            id="avo.W010",
        )
        for twin in twins
    ]


def inboxes_of(mailboxes: Iterable[str]) -> models.QuerySet[Inbox]:
    """The inboxes with these mailboxes (``touch.mailbox``), at most one each."""
    folded = Inbox.objects.alias(mailbox=Lower("address"))
    return folded.filter(channel=EMAIL, shares_mailbox=False, mailbox__in=set(mailboxes))


def _warm_up(inbox: Inbox) -> WarmUp | None:
    began: date | None = inbox.warm_up_began
    if began is None or inbox.warm_up_start is None or inbox.warm_up_target is None:
        return None
    return WarmUp(began, inbox.warm_up_start, inbox.warm_up_step or 0, inbox.warm_up_target)


HOLD_FIELDS = ("held_until", "hold_reason", "hold_detail", "holds", "changed_at")


class Touch(models.Model):
    """One message to one recipient. ``token`` is the fence token: only its holder, or that of a higher one, may write.

    ``owner`` is the account that queued it: ``user:<id>``, empty for the command line, null for touches from before
    owners were recorded. The idempotency key is unique per owner; ``draft_digest`` detects a different touch.
    ``mail``: a ``MailParts`` as JSON, or null.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        RETRYING = "retrying"
        DEAD = "dead"
        UNKNOWN = "unknown"
        SUPPRESSED = "suppressed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, editable=False)
    inbox = models.ForeignKey(Inbox, on_delete=models.PROTECT, related_name="touches", db_index=False)
    recipient = models.CharField(max_length=254)
    recipient_key = models.CharField(max_length=64, db_index=True)
    subject = models.CharField(max_length=998, blank=True)
    body = models.TextField()
    metadata = models.JSONField(default=dict, blank=True)
    mail = models.JSONField(null=True, blank=True)
    owner = models.CharField("account", max_length=160, null=True, blank=True, default="")
    idempotency_key = models.CharField(max_length=200, null=True)
    draft_digest = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    token = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "touches"
        permissions = [
            ("operate_touch", "Can cancel, redrive and resolve touches"),
            ("view_touch_payload", "Can see recipients and contents of touches"),
        ]
        indexes = [models.Index(fields=["status", "inbox"], name="outreach_touch_status")]
        constraints = [models.UniqueConstraint(fields=["idempotency_key", "owner"], name="outreach_touch_key")]

    def __str__(self) -> str:
        return str(self.pk)


RESERVABLE = (Touch.Status.QUEUED, Touch.Status.WAITING, Touch.Status.RETRYING)
UNFINISHED = (*RESERVABLE, Touch.Status.SENDING)


class Attempt(models.Model):
    """One attempt, its outcome (``reservation.Kind``) and whose fault a refusal was (``reply_rules.ReplyClass``, or
    empty); never changed."""

    touch = models.ForeignKey(Touch, on_delete=models.CASCADE, related_name="attempts")
    inbox = models.ForeignKey(Inbox, on_delete=models.PROTECT, related_name="+", db_index=False)
    outcome = models.CharField(max_length=10)
    reply_class = models.CharField(max_length=20, blank=True, default="", db_default="")
    code = models.PositiveSmallIntegerField(default=0)
    detail = models.CharField(max_length=500, blank=True)
    worker = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["inbox", "finished_at"], name="outreach_attempt_inbox")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.code or ''}".strip()


class Suppression(models.Model):
    """A recipient who receives nothing more. The digest stays when the address is erased.

    ``is_idna_2003``: written while domains were converted by IDNA 2003, so it also covers the domains that IDNA 2003
    did not distinguish (straße.example from strasse.example). Processes of such a version set it by the default.
    """

    recipient_key = models.CharField(max_length=64, unique=True)
    recipient = models.CharField(max_length=254, blank=True)
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)
    is_idna_2003 = models.BooleanField(default=False, db_default=True, editable=False)

    def __str__(self) -> str:
        return str(self.pk)  # the reason may quote a reply that names the recipient


class OutreachQueue(models.Model):
    """The live queue in Redis, for the admin; it has no table."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = [("operate_outreachqueue", "Can pause and resume inboxes and reconcile the outreach queue")]
        verbose_name = "outreach queue"
        verbose_name_plural = "outreach queue"

"""Fixtures for the browser: a problem of every kind, and for each action an object of its own."""

import time

from django.contrib.auth.models import Permission, User
from django_redis import get_redis_connection

from avo_project.observability.sampler import Sampler
from outreach.models import Inbox, Touch
from outreach.services.intake import Intake
from signals_app.domain.event import parse_fields
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.end_to_end.browser.desk import PASSWORD
from throttling.domain.policies import Hit, parse_policies
from throttling.models import TierOverride
from throttling.store.usage_stats import UsageStats
from throttling.store.window_limiter import WindowLimiter

INBOXES = ("stuck", "pause", "resume", "keys", "cancel", "dead", "arrived", "lost", "rows", "limits", "calm")
RECIPIENT = "eve.secret@example.org"
SUBJECTS = ("user:user_refused", "user:user_reset", "user:user_override")


def seed() -> None:
    users()
    regime()
    signals()
    outreach()
    throttling()
    Sampler.of().step(0.0)


def users() -> None:
    User.objects.create_superuser("desk", password=PASSWORD)
    viewer = User.objects.create_user("viewer", password=PASSWORD, is_staff=True)
    may_view = Permission.objects.filter(codename__startswith="view_")
    viewer.user_permissions.set(may_view.exclude(codename__contains="payload"))


def regime() -> None:
    """Fifty states of which ten have no expiry."""
    redis = get_redis_connection("regime")
    for number in range(50):
        key = f"argus:regime:SYM{number}"
        redis.hset(key, mapping={"bull:1mo": "0.7", "bear:1mo": "0.2", "computed_at": f"{time.time():.0f}"})
        if number % 5:
            redis.expire(key, 80_000)


def signals() -> None:
    """Thirty events, of which a consumer that died holds ten; two dead letters; a group nobody needs."""
    stream = SignalStream.connect()
    stream.make_default_group()
    stream.publish([event(number) for number in range(30)], publisher="seed", batch=0)
    group = ConsumerGroup.connect("apex-group")
    group.acquire_name(["gone"], "a-process-that-died")
    held = group.read("gone", count=12, block_ms=0)
    for delivery in held[:2]:
        group.move_to_dead_letters("gone", delivery.entry_id, reason="no-handler", deliveries=3)
    get_redis_connection("signals").xgroup_create("signals:live", "old-group", "0")


def event(number: int) -> object:
    signal_id = f"00000000-0000-4000-8000-{number:012}"
    return parse_fields({"signal_id": signal_id, "symbol": f"SYM{number}", "direction": "long", "confidence": "0.5"})


def outreach() -> None:
    """Each inbox has three touches; two inboxes are paused, of three the touches wait for a person."""
    intake = Intake.connect(time.time)
    for name in INBOXES:
        inbox = Inbox.objects.create(address=f"{name}@example.com", per_minute=1, paused=name in ("stuck", "resume"))
        drafts = [
            {"inbox": inbox.address, "recipient": f"{n}.{RECIPIENT}", "subject": "s", "body": "b"} for n in range(3)
        ]
        for draft in drafts:
            intake.accept(draft)
    Inbox.objects.filter(address="stuck@example.com").update(pause_reason=f"550 5.7.1 <{RECIPIENT}> not authorised")
    statuses = {"dead": "dead", "arrived": "unknown", "lost": "unknown", "rows": "dead"}
    for name, status in statuses.items():
        Touch.objects.filter(inbox__address=f"{name}@example.com").update(status=status, token=1)


def throttling() -> None:
    """Subjects that have used up three requests a day."""
    limiter, policies = WindowLimiter.connect(), parse_policies("3/day")
    for subject in SUBJECTS:
        TierOverride.objects.create(subject=subject, rates="3/day", reason="seeded")
        for _ in range(5):
            limiter.hit(Hit(subject, policies))
    asked = {("free", subject): 5 for subject in SUBJECTS}
    UsageStats.connect().add(asked, dict.fromkeys(asked, 2), time.time())

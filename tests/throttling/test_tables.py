"""The rate-limit page and the tables, as an operator uses them."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import timezone

from avo_project.observability.timeseries import History
from tests.doubles import DownRedis
from throttling.domain.policies import Hit, parse_policies
from throttling.models import PlanChange, TierOverride
from throttling.services.samples import sample
from throttling.store.usage_stats import UsageStats
from throttling.store.window_limiter import WindowLimiter

PAGE = "/admin/throttling/ratelimits/"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("throttling")]


def do(client: Any, name: str, **fields: str) -> Any:
    return client.post(f"{PAGE}do/{name}/", {"reason": "test"} | fields, follow=True)


def test_the_index_lists_the_page(operator_client: Any) -> None:
    assert PAGE in operator_client.get("/admin/").content.decode()


def test_busy_subjects_are_shown(operator_client: Any, redis_of: Any) -> None:
    UsageStats(redis_of("throttling")).add(
        {("free", "user:user_alice"): 71}, {("free", "user:user_alice"): 11, ("pro", "user:user_bob"): 3}, time.time()
    )
    page = operator_client.get(PAGE).content.decode()
    assert '<a href="?subject=user%3Auser_alice">user:user_alice</a></td><td>free</td><td>71</td>' in page


def test_rejections_per_tier_are_drawn_over_time(operator_client: Any, redis_of: Any) -> None:
    usage, history = UsageStats(redis_of("throttling")), History(redis_of("throttling"), "throttling")
    now = time.time()
    for sampled_at in (now - 30, now - 20):
        usage.add({}, {("free", "user:user_alice"): 11, ("pro", "user:user_bob"): 3}, now)
        assert history.record(sample(), sampled_at)
    drawn = {chart["title"]: chart for chart in operator_client.get(f"{PAGE}history.json").json()["charts"]}["Rejected"]
    rates = {line["label"]: [value for value in line["values"] if value is not None] for line in drawn["lines"]}
    assert (rates["free"], rates["pro"], rates["local fallback decisions"]) == ([1.1], [0.3], [0.0])
    assert rates["institutional"] == [0.0]


def test_an_empty_page(operator_client: Any, redis_of: Any) -> None:
    assert "Busiest subjects" in operator_client.get(PAGE).content.decode()


def test_looking_up_a_subject(operator_client: Any, limiter: WindowLimiter) -> None:
    limiter.hit(Hit("user:user_alice", parse_policies("60/min"), 13))
    page = operator_client.get(PAGE, {"subject": "user_alice"}).content.decode()
    assert re.search(r"<td>minute</td><td>60</td><td>47</td>", page)
    assert "Tier free: no recent requests and no reported plan." in page


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("address:192.0.2.1", "Tier anonymous: not signed in."),
        ("user:7", "Tier institutional: service account."),
        ("bad_token:address:192.0.2.1", "Tier bad_token: sent bad tokens."),
        ("user:user_bob", "Tier pro: tier of its recent requests."),
        ("org:org_desk", "Tier institutional: plan institutional reported by Clerk."),
        ("user:user_eve", "Tier pro: override by operator: trial."),
        ("somebody", "is not a subject. Write user:"),
    ],
)
def test_why_a_subject_has_its_tier(
    operator_client: Any, operator: Any, redis_of: Any, subject: str, shown: str
) -> None:
    UsageStats(redis_of("throttling")).add({("pro", "user:user_bob"): 1}, {}, time.time())
    plan = {"plan": "institutional", "is_active": True, "event_type": "t", "event_at": timezone.now()}
    PlanChange.objects.create(message_id="m", subject="org:org_desk", **plan)
    TierOverride.objects.create(subject="user:user_eve", tier="pro", reason="trial", created_by=operator)
    assert shown in operator_client.get(PAGE, {"subject": subject}).content.decode()


def test_reset_asks_first_then_does_and_is_logged(operator_client: Any, limiter: WindowLimiter) -> None:
    policies = parse_policies("60/min")
    limiter.hit(Hit("user:user_alice", policies, 60))
    asked = do(operator_client, "reset", subject="user:user_alice").content.decode()
    assert "Empties all windows of user:user_alice" in asked
    assert limiter.test("user:user_alice", policies).remaining() == [0]
    done = do(operator_client, "reset", subject="user:user_alice", confirmed="yes").content.decode()
    assert "Emptied 1 windows of user:user_alice." in done
    assert limiter.test("user:user_alice", policies).remaining() == [60]
    assert "user:user_alice" in LogEntry.objects.get().change_message


def test_reset_of_nobody_says_so(operator_client: Any, redis_of: Any) -> None:
    page = do(operator_client, "reset", subject="", confirmed="yes").content.decode()
    assert "Required: subject" in page
    page = do(operator_client, "reset", subject="nobody", confirmed="yes").content.decode()
    assert "Reset this subject failed" in page


def test_override_asks_first_then_writes_a_row(operator_client: Any, operator: Any, redis_of: Any) -> None:
    fields = {"subject": "user_alice", "rates": "7/min", "hours": "24", "reason": "load test"}
    assert "user_alice gets 7/min for 24 hours" in do(operator_client, "override", **fields).content.decode()
    assert not TierOverride.objects.exists()
    done = do(operator_client, "override", confirmed="yes", **fields).content.decode()
    assert "user:user_alice: 7/min until" in done, re.findall(r'<li class="[a-z]+">.*?</li>', done)
    row = TierOverride.objects.get()
    assert (row.subject, row.rates, row.reason, row.created_by) == ("user:user_alice", "7/min", "load test", operator)
    assert timedelta(hours=23) < row.expires_at - timezone.now() < timedelta(hours=25)
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tier": "platinum", "reason": "r"}, "is not a tier"),
        ({"reason": "r"}, "Enter a tier or rates."),
        ({"tier": "pro", "reason": ""}, "A reason is required."),
        ({"tier": "pro", "reason": "r", "hours": "1e300"}, "is not a number of hours"),
        ({"rates": "7/mni", "reason": "r"}, "is not a unit of time"),
        ({"tier": "pro", "reason": "r", "hours": "soon"}, "is not a number of hours"),
    ],
)
def test_an_override_that_would_not_work_is_rejected(
    operator_client: Any, redis_of: Any, fields: Any, says: str
) -> None:
    page = do(operator_client, "override", subject="user_alice", confirmed="yes", **fields).content.decode()
    assert says in page
    assert not TierOverride.objects.exists()


@pytest.mark.parametrize("subject", ["10.0.0.0/8", "address:2001:db8::/32", "user:alice", "bad_token:address:9.9.9.9"])
def test_an_override_that_would_apply_to_nobody_is_rejected(operator_client: Any, redis_of: Any, subject: str) -> None:
    fields = {"subject": subject, "tier": "pro", "reason": "r"}
    do(operator_client, "override", confirmed="yes", **fields)
    added = {**fields, "rates": "", "expires_at_0": "", "expires_at_1": ""}
    assert operator_client.post("/admin/throttling/tieroverride/add/", added).status_code == 200
    assert not TierOverride.objects.exists()


def test_an_override_says_to_whom_it_applies(operator_client: Any, redis_of: Any) -> None:
    fields = {"subject": "2001:db8:1:2::1", "rates": "7/min", "reason": "load test"}
    words = "callers without a credential from 2001:db8:1:2::/64, all addresses together"
    assert f"This applies to {words}." in do(operator_client, "override", **fields).content.decode()
    do(operator_client, "override", confirmed="yes", **fields)
    row = TierOverride.objects.get()
    for page in ("", f"{row.pk}/change/"):
        assert words in operator_client.get(f"/admin/throttling/tieroverride/{page}").content.decode()
    assert words in operator_client.get(PAGE, {"subject": "address:2001:db8:1:2::7"}).content.decode()


def test_a_row_that_was_written_otherwise_is_found_and_kept(operator_client: Any, redis_of: Any) -> None:
    TierOverride.objects.create(subject="address:::ffff:9.9.9.9", rates="7/min", reason="trial")
    TierOverride.objects.create(subject="address:10.0.0.0/8", rates="7/min", reason="of no use")
    assert "override: trial" in operator_client.get(PAGE, {"subject": "9.9.9.9"}).content.decode()
    assert "invalid: " in operator_client.get("/admin/throttling/tieroverride/").content.decode()
    do(operator_client, "override", confirmed="yes", subject="9.9.9.9", rates="8/min", reason="more")
    assert TierOverride.objects.get(subject="address:9.9.9.9").rates == "8/min"
    assert TierOverride.objects.count() == 2


def test_actions_need_their_own_permission(client: Any, django_user_model: Any, redis_of: Any) -> None:
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_ratelimits"))
    client.force_login(viewer)
    page = client.get(PAGE, {"subject": "user_alice"}).content.decode()
    assert "do/reset/" not in page
    assert "do/override/" not in page
    for name in ("reset", "override"):
        assert do(client, name, subject="user_alice", confirmed="yes").status_code == 403
        assert client.get(f"{PAGE}do/{name}/").status_code == 403


def test_without_redis_the_page_says_so(operator_client: Any, redis_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    down = DownRedis(redis_of("throttling"), is_down=True)
    monkeypatch.setattr(UsageStats, "connect", classmethod(lambda cls: cls(down)))
    response = operator_client.get(PAGE, {"subject": "user_alice"})
    assert response.status_code == 503
    assert "Redis is unavailable" in response.content.decode()


def test_an_override_made_in_its_table_names_who_made_it(operator_client: Any, operator: Any) -> None:
    fields = {
        "subject": "org_desk",
        "tier": "pro",
        "rates": "",
        "reason": "pilot",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    response = operator_client.post("/admin/throttling/tieroverride/add/", fields)
    assert response.status_code == 302
    row = TierOverride.objects.get()
    assert (row.subject, row.created_by) == ("org:org_desk", operator)
    rejected = operator_client.post(
        "/admin/throttling/tieroverride/add/", {**fields, "subject": "x", "tier": "platinum"}
    )
    assert "is not a subject" in rejected.content.decode()
    assert "is not a tier" in rejected.content.decode()


def test_plan_changes_are_read_only(operator_client: Any) -> None:
    assert operator_client.get("/admin/throttling/planchange/").status_code == 200
    assert operator_client.get("/admin/throttling/planchange/add/").status_code == 403

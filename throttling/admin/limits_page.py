"""The admin page of the live rate limits: rejected and busy subjects, and one subject to look up, reset or override."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel
from avo_project.lib.formatting import duration
from throttling.conf import ThrottlingConf
from throttling.domain.policies import Policy
from throttling.domain.subjects import applies_to, normal
from throttling.models import TierOverride
from throttling.services.inspection import Inspection, SubjectView, window_stats
from throttling.services.overrides import override_row
from throttling.store.window_limiter import WindowLimiter


def preview_reset(request: HttpRequest) -> ActionResult:
    """Raises ValueError for an invalid subject."""
    windows = Inspection.connect().subject(normal(request.POST["subject"])).outcome.windows
    used = sum(1 for window in windows if window.used)
    return ActionResult(
        f"Empties all windows of {request.POST['subject']}, which then has its whole limit again. "
        f"{used} of its windows have charges.",
        used,
    )


def reset(request: HttpRequest) -> ActionResult:
    """Raises ValueError for an invalid subject."""
    subject = normal(request.POST.get("subject", ""))
    windows = {
        policy.window_seconds: policy for policies in ThrottlingConf.load().rates.values() for policy in policies
    }
    windows |= {policy.window_seconds: policy for policy in _own_policies(subject)}
    emptied = WindowLimiter.connect().reset(subject, list(windows.values()))
    return ActionResult(f"Emptied {emptied} windows of {subject}.", emptied)


def _own_policies(subject: str) -> tuple[Policy, ...]:
    return Inspection.connect().subject(subject).outcome.hit.policies


def preview_override(request: HttpRequest) -> ActionResult:
    """Raises ValueError for an invalid subject."""
    form = request.POST
    subject = normal(form["subject"])
    instead = form.get("rates") or f"the tier {form.get('tier')}"
    how_long = f"for {form['hours']} hours" if form.get("hours") else "without expiry"
    return ActionResult(f"{subject} gets {instead} {how_long}. This applies to {applies_to(subject)}.", 1)


def override(request: HttpRequest) -> ActionResult:
    """Saves the override. Raises ValueError for an invalid form."""
    form = request.POST
    subject = normal(form.get("subject", ""))
    row = override_row(subject) or TierOverride()
    row.subject = subject
    row.tier, row.rates, row.reason = form.get("tier", ""), form.get("rates", ""), form.get("reason", "")
    row.expires_at = _until(form.get("hours", ""))
    row.created_by_id = request.user.pk
    try:
        row.full_clean()
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    row.save()
    until = f"{row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else "it is deleted"
    return ActionResult(f"Override of {row} until {until}.", 1)


def _until(hours: str) -> datetime | None:
    if not hours:
        return None
    try:
        return timezone.now() + timedelta(hours=float(hours))
    except (ValueError, OverflowError):
        raise ValueError(f"{hours!r} is not a number of hours.") from None


class RateLimitsAdmin(LiveStateAdmin):
    """Live windows and usage. Subjects are ids and IP addresses, never mail addresses."""

    console_role = "throttling"
    page_template = "admin/rate_limits.html"
    live_actions = (
        LiveAction("reset", "Reset this subject", "reset_subject", preview_reset, reset, ("subject",)),
        LiveAction("override", "Override this subject", "override_subject", preview_override, override, ("subject",)),
    )

    def panels(self, request: HttpRequest) -> list[Panel]:
        inspection = Inspection.connect()
        panels = [self._looked_up(inspection, request.GET["subject"])] if request.GET.get("subject") else []
        return [*panels, self._rejected(request, inspection), _busiest(inspection)]

    def _rejected(self, request: HttpRequest, inspection: Inspection) -> Panel:
        rows = [
            (
                _link(one.subject),
                one.tier,
                one.requests,
                self.button(request, "reset", "Reset…", subject=one.subject),
            )
            for one in inspection.most_rejected()
        ]
        note = "In the last five to ten minutes. Follow a subject to see its windows or override its limits."
        return Panel("Recently rejected", ("Subject", "Tier", "Rejected requests", "Actions"), rows, note)

    def page(self, request: HttpRequest) -> HttpResponse:
        response = super().page(request)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data.update(self._extras(request, response.context_data))
        return response

    def _extras(self, request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
        """Replaces the page-wide action buttons by forms for the subject shown."""
        return {
            "live_actions": (),
            "subject_actions": {action.name for action in context["live_actions"]},
            "subject": request.GET.get("subject", ""),
            "tiers": sorted(ThrottlingConf.load().rates),
        }

    def _looked_up(self, inspection: Inspection, text: str) -> Panel:
        try:
            view = inspection.subject(normal(text))
        except ValueError as error:
            return Panel("Look-up", (), [], str(error))
        return _subject_panel(view)


def _busiest(inspection: Inspection) -> Panel:
    rows = [(_link(busy.subject), busy.tier, busy.requests) for busy in inspection.busiest()]
    return Panel("Busiest subjects", ("Subject", "Tier", "Requests"), rows, "In the last five to ten minutes.")


def _link(subject: str) -> str:
    return format_html('<a href="?{}">{}</a>', urlencode({"subject": subject}), subject)


def _subject_panel(view: SubjectView) -> Panel:
    rows = [
        (
            entry["name"],
            entry["limit"],
            entry["remaining"],
            duration(entry["reset_seconds"]),
            "shadow" if entry["shadow"] else "",
        )
        for entry in window_stats(view.outcome)
    ]
    columns = ("Window", "Limit", "Remaining", "Reset in", "Mode")
    note = f"Tier {view.tier}: {view.why}. Applies to {applies_to(view.subject)}."
    return Panel(view.subject, columns, rows, note)

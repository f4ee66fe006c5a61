"""Admin pages over live Redis state: panels of figures and confirmed actions instead of database rows.

Only the list path and the actions are routed, so the stock ``/1/change/`` of an unmanaged model is a plain 404.
"""

import logging
import time
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import MediaDefiningClass
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
    QueryDict,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from redis.exceptions import RedisError

from avo_project.console.actions import (
    CONTROL_FIELDS,
    REASON_REQUIRED,
    ActionResult,
    AuditEntry,
    failure_result,
    notify,
    record,
    subject_of,
)
from avo_project.console.panels import (
    ROW_VALUES,
    SPANS,
    Fragment,
    Panel,
    action_button,
    chart_data,
    fragments,
    json_answer,
    live_answer,
)
from avo_project.console.registry import consoles

__all__ = ["ActionResult", "LiveAction", "LiveStateAdmin", "Panel"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveAction:
    """An operator action on live state. ``preview`` describes the effect, ``run`` performs it; both return a sentence
    or an ActionResult. ``permission`` is a codename of the page's model.

    ``inputs`` are required posted fields; a form asks the operator for those that are missing.
    """

    name: str
    label: str
    permission: str
    preview: Callable[[HttpRequest], ActionResult | str]
    run: Callable[[HttpRequest], ActionResult | str]
    inputs: tuple[str, ...] = ()

    def missing(self, request: HttpRequest) -> list[str]:
        return [name for name in self.inputs if not request.POST.get(name, "").strip()]


class _AbstractAdmin(MediaDefiningClass, ABCMeta):
    """Refuses to register a page without its abstract methods."""


class LiveStateAdmin(admin.ModelAdmin, metaclass=_AbstractAdmin):  # type: ignore[type-arg]
    """Base of the live pages. A subclass implements ``panels`` and may list ``live_actions``.

    Every action takes the same steps: missing inputs, preview, reason and confirmation; then it runs, its result is
    shown and audited, also when it failed.
    """

    console_role = ""
    """The role whose charts the page shows, if any."""
    live_actions: Sequence[LiveAction] = ()
    page_template = "admin/live_state.html"
    confirmation_template = "admin/live_action.html"

    @abstractmethod
    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        """The page's tables, from the app's ``inspection``. The page shows a RedisError that it raises."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("", view(self.page), name=f"{name}_changelist"),
            path("live.json", view(self.live), name=f"{name}_live"),
            path("history.json", view(self.history), name=f"{name}_history"),
            path("do/<slug:action_name>/", view(self.act), name=f"{name}_do"),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        parts, failure = self._parts(request)
        query = request.GET.urlencode()
        context = {
            **self._context(request),
            "parts": parts,
            "as_of": datetime.now(UTC),
            "live_url": f"live.json?{query}" if query else "live.json",
            "failure": failure,
            "charts": consoles([self.console_role])[0].charts if self.console_role else (),
            "live_actions": [action for action in self.live_actions if self._may(request, action)],
        }
        return TemplateResponse(request, self.page_template, context, status=503 if failure else 200)

    def live(self, request: HttpRequest) -> HttpResponse:
        """The panels as JSON, for the page's script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        parts, failure = self._parts(request)
        return JsonResponse({"failure": failure}, status=503) if failure else live_answer(request, parts, time.time())

    def history(self, request: HttpRequest) -> HttpResponse:
        """The lines of the charts; ``?range=`` 1h, 24h or 30d."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        span = SPANS.get(request.GET.get("range", "1h"))
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if span is None or not self.console_role:
            raise Http404
        try:
            return json_answer(request, chart_data(consoles([self.console_role])[0], span))
        except RedisError as error:
            logger.warning("cannot read the charts of %s: %s", self.console_role, error)
            return JsonResponse({"failure": "Redis is unavailable."}, status=503)

    def button(self, request: HttpRequest, action_name: str, label: str, **given: str) -> str:
        """A cell with a button that starts the action with these values; empty without the permission."""
        [action] = [action for action in self.live_actions if action.name == action_name]
        return action_button(action_name, label, given) if self._may(request, action) else ""

    def _parts(self, request: HttpRequest) -> tuple[list[Fragment], str]:
        try:
            return fragments(self.panels(request)), ""
        except RedisError as error:
            logger.warning("cannot read %s: %s", self.opts.verbose_name, error)
            return [], f"Redis is unavailable: {error}"

    def act(self, request: HttpRequest, action_name: str) -> HttpResponse:
        action = next((action for action in self.live_actions if action.name == action_name), None)
        if action is None:
            raise Http404
        if not self._may(request, action):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if ROW_VALUES in request.POST:
            request.POST = _unpacked(request.POST)  # type: ignore[assignment]
        if missing := action.missing(request):
            return self._confirmation_page(request, action, missing=missing)
        if request.POST.get("confirmed") != "yes":
            return self._confirm_with_preview(request, action)
        if not request.POST.get("reason", "").strip():
            return self._confirm_with_preview(request, action, error_note=REASON_REQUIRED)
        self._run(request, action)
        return self._back()

    def _confirm_with_preview(self, request: HttpRequest, action: LiveAction, error_note: str = "") -> HttpResponse:
        """The confirmation page; without a preview the action is not started."""
        try:
            preview = _as_result(action.preview(request))
        except (RedisError, ValueError, LookupError) as error:
            logger.warning("the preview of admin action %s failed: %s", action.name, error)
            self.message_user(request, f"{action.label} was not started: {error}", messages.ERROR)
            return self._back()
        return self._confirmation_page(request, action, preview=preview, error_note=error_note)

    def _confirmation_page(
        self,
        request: HttpRequest,
        action: LiveAction,
        missing: Sequence[str] = (),
        preview: ActionResult | None = None,
        error_note: str = "",
    ) -> HttpResponse:
        if missing and request.POST.get("confirmed"):
            error_note = f"Required: {', '.join(name.replace('_', ' ') for name in missing)}. No changes were made."
        posted = request.POST.items()
        context = {
            **self._context(request),
            "action": action,
            "requested": [
                (name, name.replace("_", " "), request.POST.get(name, "")) for name in action.inputs if missing
            ],
            "kept": [pair for pair in posted if pair[0] not in CONTROL_FIELDS | set(missing and action.inputs)],
            "subject": subject_of(request.POST, action.inputs),
            "preview": preview,
            "error_note": error_note,
            "reason": request.POST.get("reason", ""),
        }
        return TemplateResponse(request, self.confirmation_template, context)

    def _run(self, request: HttpRequest, action: LiveAction) -> None:
        try:
            result, has_failed = _as_result(action.run(request)), False
        except Exception as error:  # noqa: BLE001 - any failure is shown to the operator and audited
            result, has_failed = failure_result(action.label, error), True
        subject = subject_of(request.POST, action.inputs)
        entry = AuditEntry(action.label, subject, request.POST["reason"].strip(), result, has_failed)
        record(request, self.opts, entry)
        notify(self, request, result, has_failed=has_failed)

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def _may(self, request: HttpRequest, action: LiveAction) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(f"{self.opts.app_label}.{action.permission}")

    def _context(self, request: HttpRequest) -> dict[str, object]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(self.opts.verbose_name_plural).capitalize(),
        }


def _unpacked(posted: QueryDict) -> QueryDict:
    """The form with the values of a row's button as separate fields."""
    fields = posted.copy()
    fields.update(QueryDict(fields.pop(ROW_VALUES)[0]))
    return fields


def _as_result(outcome: ActionResult | str) -> ActionResult:
    return outcome if isinstance(outcome, ActionResult) else ActionResult(outcome)

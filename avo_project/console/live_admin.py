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

from avo_project.console.actions import ActionResult, AuditEntry, failed, record, subject_of, tell
from avo_project.console.charts import SPANS, chart_data
from avo_project.console.panels import GIVEN, Fragment, Panel, action_button, fragments, json_answer, live_answer
from avo_project.console.registry import consoles

__all__ = ["ActionResult", "LiveAction", "LiveStateAdmin", "Panel"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveAction:
    """Something an operator may do to live state. ``preview`` says what would happen, ``run`` does it and says what
    did, both as a sentence or as an Effect with a count; ``permission`` is a codename of the page's model.

    ``inputs`` are posted fields that it cannot do without: the operator is asked for those that are missing.
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
    """A page that lacks what it must have cannot be registered."""


class LiveStateAdmin(admin.ModelAdmin, metaclass=_AbstractAdmin):  # type: ignore[type-arg]
    """Base of the live pages. A subclass gives ``panels`` and, if it has any, ``live_actions``.

    Every action goes one way: what is missing is asked for, the preview says what would happen, a reason is given and
    the confirmation sent; then it is run, its result told, and both written down, a failure too.
    """

    console_role = ""
    """The role whose charts the page shows, if any."""
    live_actions: Sequence[LiveAction] = ()
    page_template = "admin/live_state.html"
    confirmation_template = "admin/live_action.html"

    @abstractmethod
    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        """The page's tables, from the app's ``inspection``. May raise RedisError, which the page then shows."""

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
        """The panels alone, for the page's script."""
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
            logger.warning("charts of %s cannot be shown: %s", self.console_role, error)
            return JsonResponse({"failure": "Redis does not answer."}, status=503)

    def button(self, request: HttpRequest, action_name: str, label: str, **given: str) -> str:
        """A cell that begins the action with these values; empty for who may not."""
        [action] = [action for action in self.live_actions if action.name == action_name]
        return action_button(action_name, label, given) if self._may(request, action) else ""

    def _parts(self, request: HttpRequest) -> tuple[list[Fragment], str]:
        try:
            return fragments(self.panels(request)), ""
        except RedisError as error:
            logger.warning("%s cannot be shown: %s", self.opts.verbose_name, error)
            return [], f"Redis does not answer, so nothing can be shown: {error}"

    def act(self, request: HttpRequest, action_name: str) -> HttpResponse:
        action = next((action for action in self.live_actions if action.name == action_name), None)
        if action is None:
            raise Http404
        if not self._may(request, action):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if GIVEN in request.POST:
            request.POST = _unpacked(request.POST)  # type: ignore[assignment]
        if missing := action.missing(request):
            return self._ask(request, action, missing=missing)
        if request.POST.get("confirmed") != "yes":
            return self._ask_with_preview(request, action)
        if not request.POST.get("reason", "").strip():
            return self._ask_with_preview(request, action, complaint="Say why: nothing was done yet.")
        self._run(request, action)
        return self._back()

    def _ask_with_preview(self, request: HttpRequest, action: LiveAction, complaint: str = "") -> HttpResponse:
        """The confirmation page; when what would happen cannot be told, the action is not begun."""
        try:
            preview = _effect(action.preview(request))
        except (RedisError, ValueError, LookupError) as error:
            logger.warning("admin action %s cannot be previewed: %s", action.name, error)
            self.message_user(request, f"{action.label} was not begun: {error}", messages.ERROR)
            return self._back()
        return self._ask(request, action, preview=preview, complaint=complaint)

    def _ask(
        self,
        request: HttpRequest,
        action: LiveAction,
        missing: Sequence[str] = (),
        preview: ActionResult | None = None,
        complaint: str = "",
    ) -> HttpResponse:
        if missing and request.POST.get("confirmed"):
            complaint = f"Fill in {', '.join(name.replace('_', ' ') for name in missing)}: nothing was done yet."
        posted = request.POST.items()
        context = {
            **self._context(request),
            "action": action,
            "asked": [(name, name.replace("_", " "), request.POST.get(name, "")) for name in action.inputs if missing],
            "kept": [pair for pair in posted if pair[0] not in _ASKED_ANEW | set(missing and action.inputs)],
            "subject": subject_of(request.POST, action.inputs),
            "preview": preview,
            "complaint": complaint,
            "reason": request.POST.get("reason", ""),
        }
        return TemplateResponse(request, self.confirmation_template, context)

    def _run(self, request: HttpRequest, action: LiveAction) -> None:
        try:
            effect, has_failed = _effect(action.run(request)), False
        except Exception as error:  # noqa: BLE001 - whatever it was, the operator is told and it is written down
            effect, has_failed = failed(action.label, error), True
        subject = subject_of(request.POST, action.inputs)
        deed = AuditEntry(action.label, subject, request.POST["reason"].strip(), effect, has_failed)
        record(request, self.opts, deed)
        tell(self, request, effect, has_failed=has_failed)

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


_ASKED_ANEW = {"csrfmiddlewaretoken", "confirmed", "reason"}


def _unpacked(posted: QueryDict) -> QueryDict:
    """The form with the values that the button of a row brought as fields of their own."""
    fields = posted.copy()
    fields.update(QueryDict(fields.pop(GIVEN)[0]))
    return fields


def _effect(told: ActionResult | str) -> ActionResult:
    return told if isinstance(told, ActionResult) else ActionResult(told)

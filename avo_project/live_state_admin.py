"""Admin pages over live Redis state: panels of figures and confirmed actions instead of database rows.

Only the list path and the actions are routed, so the stock ``/1/change/`` of an unmanaged model is a plain 404.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Panel:
    """One table of live figures; ``note`` says in a sentence what is normal or how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class LiveAction:
    """Something an operator may do to live state. ``preview`` says what would happen, ``run`` does it and says what
    did; ``permission`` is a codename of the page's model."""

    name: str
    label: str
    permission: str
    preview: Callable[[HttpRequest], str]
    run: Callable[[HttpRequest], str]


class LiveStateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Base of the live pages. A subclass gives ``panels`` and, if it has any, ``live_actions``."""

    live_actions: Sequence[LiveAction] = ()
    page_template = "admin/live_state.html"
    confirmation_template = "admin/live_action.html"

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        """The page's tables, from the app's ``inspection``. May raise RedisError, which the page then shows."""
        raise NotImplementedError

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
            path("do/<slug:action_name>/", view(self.act), name=f"{name}_do"),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            panels, failure = self.panels(request), None
        except RedisError as error:
            logger.warning("%s cannot be shown: %s", self.opts.verbose_name, error)
            panels, failure = (), f"Redis does not answer, so nothing can be shown: {error}"
        context = {
            **self._context(request),
            "panels": panels,
            "failure": failure,
            "live_actions": [action for action in self.live_actions if self._may(request, action)],
        }
        return TemplateResponse(request, self.page_template, context, status=503 if failure else 200)

    def act(self, request: HttpRequest, action_name: str) -> HttpResponse:
        action = next((action for action in self.live_actions if action.name == action_name), None)
        if action is None:
            raise Http404
        if not self._may(request, action):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if request.POST.get("confirmed") == "yes":
            self._run(request, action)
        elif (question := self._question(request, action)) is not None:
            return question
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def _question(self, request: HttpRequest, action: LiveAction) -> HttpResponse | None:
        """The confirmation page, or None when what would happen cannot be told, which the next page then says."""
        try:
            preview = action.preview(request)
        except (RedisError, ValueError) as error:
            logger.exception("admin action %s cannot be previewed", action.name)
            self.message_user(request, f"{action.label} was not begun: {error}", messages.ERROR)
            return None
        context = {**self._context(request), "action": action, "preview": preview, "fields": request.POST}
        return TemplateResponse(request, self.confirmation_template, context)

    def _run(self, request: HttpRequest, action: LiveAction) -> None:
        try:
            outcome, level = action.run(request), messages.SUCCESS
        except (RedisError, ValueError) as error:
            logger.exception("admin action %s failed", action.name)
            outcome, level = f"{action.label} failed: {error}", messages.ERROR
        LogEntry.objects.create(
            user_id=request.user.pk or 0,
            content_type=ContentType.objects.get_for_model(self.model, for_concrete_model=False),
            object_repr=str(self.opts.verbose_name)[:200],
            action_flag=CHANGE,
            change_message=f"{action.label}: {outcome}",
        )
        self.message_user(request, outcome, level)

    def _may(self, request: HttpRequest, action: LiveAction) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(f"{self.opts.app_label}.{action.permission}")

    def _context(self, request: HttpRequest) -> dict[str, object]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(self.opts.verbose_name_plural).capitalize(),
        }

"""Admin: the page over the live regime cache, and the macro tables."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from avo_project.console.actions import ActionResult
from avo_project.console.audited_admin import ReadOnlyAdmin
from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel
from avo_project.observability.sampler import Sampler
from regime.admin import panels
from regime.domain.state import SymbolError, valid_symbol
from regime.models import MacroObservation, MacroSeries, RegimeCache
from regime.services.inspection import ROLE, RegimeInspection
from regime.services.refresher import Refresher
from regime.services.ttl_backfill import start_backfill


def _backfill(request: HttpRequest) -> str:
    start_backfill(dry_run=False)
    return "Started. The panel “Last TTL backfill” shows its progress."


def _dry_run(request: HttpRequest) -> str:
    start_backfill(dry_run=True)
    return "Started a dry run. The panel “Last TTL backfill” shows its progress."


def _preview_dry_run(request: HttpRequest) -> ActionResult:
    return ActionResult("Counts the states without an expiry in a single SCAN pass. Changes nothing.", 0)


def _preview_backfill(request: HttpRequest) -> ActionResult:
    sample = RegimeInspection.connect().overview().sample
    text = "Sets the remaining TTL on every state without one and deletes expired states"
    return ActionResult(
        f"{text}." if sample.is_exact else f"{text}; the count is an estimate.", sample.without_ttl_estimated
    )


def _refresh(request: HttpRequest) -> str:
    return Refresher.connect(panels.CLOCK).step().summary()


@admin.register(RegimeCache)
class RegimeCacheAdmin(LiveStateAdmin):
    """Freshness of the states, lookup of one state, and maintenance actions."""

    console_role = ROLE
    page_template = "admin/regime/cache.html"
    live_actions = (
        LiveAction(
            "backfill-dry-run",
            "Try the TTL backfill",
            "backfill_ttl",
            _preview_dry_run,
            _dry_run,
        ),
        LiveAction(
            "backfill",
            "Backfill TTLs",
            "backfill_ttl",
            _preview_backfill,
            _backfill,
        ),
        LiveAction(
            "refresh",
            "Rebuild the collection",
            "refresh_collection",
            lambda request: "Reads all states once and publishes a new version of the collection.",
            _refresh,
        ),
    )

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        return panels.panels(RegimeInspection.connect(), partial(self.button, request))

    def page(self, request: HttpRequest) -> HttpResponse:
        """Takes a sample when the page is opened and none is recent; live refreshes never do."""
        if request.method == "GET" and self.has_view_permission(request):
            Sampler.of(ROLE).step(0.0)
        response = super().page(request)
        if isinstance(response, TemplateResponse) and response.context_data and not response.context_data["failure"]:
            response.context_data |= _pictures(request.GET.get("symbol", "").strip())
        return response


def _pictures(asked: str) -> dict[str, Any]:
    inspection = RegimeInspection.connect()
    shown: dict[str, Any] = {"asked": asked, "histogram": panels.histogram(inspection.ages_by_hour())}
    if asked:
        try:
            shown["lookup"] = panels.heat_map(inspection.look_up(valid_symbol(asked)))
        except SymbolError as error:
            shown["lookup_error"] = str(error)
    return shown


@admin.register(MacroSeries)
class MacroSeriesAdmin(ReadOnlyAdmin):
    search_fields = ("id",)


@admin.register(MacroObservation)
class MacroObservationAdmin(ReadOnlyAdmin):
    """A vintage is history; corrections come as files, by ``load_macro``."""

    list_display = ("series_id", "date", "vintage", "value")
    list_filter = ("vintage",)
    search_fields = ("=series__id",)
    date_hierarchy = "date"

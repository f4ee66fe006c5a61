"""A URLconf with one live page over two figures, for the tests of live pages."""

from collections.abc import Sequence

from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import path
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel

done: list[dict[str, str]] = []
down = False


def drain(request: HttpRequest) -> ActionResult:
    if request.POST.get("lane") == "broken":
        raise RedisConnectionError("gone")
    done.append({"lane": request.POST["lane"]})
    return ActionResult("Drained 3 touches.", 3)


def preview(request: HttpRequest) -> ActionResult:
    if request.POST.get("lane") == "unseen":
        raise RedisConnectionError("gone")
    return ActionResult("3 touches would go.", 3)


class LivePage(LiveStateAdmin):
    live_actions = (LiveAction("drain", "Drain", "change_group", preview, drain, ("lane",)),)

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        if down:
            raise RedisConnectionError("gone")
        begin = self.button(request, "drain", "Drain…", lane="a & b")
        return [Panel("Lanes", ("inbox", "depth", ""), [("<b>a</b>", 3, begin)], note="Zero is normal.")]


site = admin.AdminSite()
site.register(Group, LivePage)
urlpatterns = [path("admin/", site.urls)]

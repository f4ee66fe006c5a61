"""The routes of ``http_routes.py``: trivial views that show what a layer costs, and the project's own."""

from itertools import count
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from regime.api.views import RegimeStateView


class Limited(APIView):
    def get(self, request: Any) -> Response:
        return Response({"answer": 42})


class Unlimited(UserRateThrottle):
    """A new caller every 50 requests: DRF keeps and rewrites a list of all of a caller's requests."""

    rate = "60/min"
    turn = count()

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"bench-{next(self.turn) // 50}"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b'{"answer":42}', content_type="application/json")


nothing: dict[str, Any] = {"authentication_classes": [], "throttle_classes": []}
urlpatterns = [
    path("bench/plain", plain),
    path("bench/trivial", Limited.as_view(**nothing)),
    path("bench/authenticated", Limited.as_view(throttle_classes=[])),
    path("bench/limited", Limited.as_view()),
    path("bench/drf", Limited.as_view(authentication_classes=[], throttle_classes=[Unlimited])),
    path("bench/regime/<symbol>", RegimeStateView.as_view(**nothing)),
    path("", include("avo_project.urls")),
]

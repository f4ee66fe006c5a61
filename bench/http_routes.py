"""API routes in process, beside a trivial DRF view under the same middleware: where a request's time goes."""

import io
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from bench_project import loaded_project, print_beside

ROUNDS = 1_000
TARGET = "authentication + throttle + one regime"


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.throttling.clerk import ISSUER, KEY, token

    rates = "anonymous=1000000000/min;free=1000000000/min;pro=1000000000/min,1000000000/day"
    with loaded_project(CLERK_ISSUER=ISSUER, CLERK_JWT_KEY=KEY.pem, THROTTLE_RATES=rates, AVO_TEST_REDIS="debian"):
        add_routes()
        write_states()
        from django.core.handlers.wsgi import WSGIHandler

        handler = WSGIHandler()
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {token(plan='u:pro', exp=int(time.time()) + 3600)}"}
        calls = {
            "trivial": request(handler, "/bench/trivial"),
            "plain Django view": request(handler, "/bench/plain"),
            "authentication": request(handler, "/bench/authenticated", **bearer),
            "authentication + throttle": request(handler, "/bench/limited", **bearer),
            "DRF's UserRateThrottle alone": request(handler, "/bench/drf"),
            "one regime, neither authentication nor throttle": request(handler, "/bench/regime/AAPL"),
            TARGET: request(handler, "/api/intelligence/regime/AAPL", **bearer),
            "one regime for an anonymous caller": request(handler, "/api/intelligence/regime/AAPL"),
        }
        print_beside("trivial", calls, ROUNDS, {TARGET: "<= 2.5"})


def add_routes() -> None:
    """The bench's own views beside the project's, in a URL configuration made here."""
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import include, path
    from rest_framework.response import Response
    from rest_framework.throttling import UserRateThrottle
    from rest_framework.views import APIView

    from regime.views import RegimeStateView

    class Limited(APIView):
        def get(self, request: Any) -> Response:
            return Response({"answer": 42})

    class Unlimited(UserRateThrottle):
        """A new caller every 50 requests: DRF keeps and rewrites a list of all of a caller's requests."""

        rate = "60/min"
        turn = count()

        def get_cache_key(self, request: Any, view: Any) -> str:
            return f"bench-{next(self.turn) // 50}"

    nothing: dict[str, Any] = {"authentication_classes": [], "throttle_classes": []}
    routes = ModuleType("bench_routes")
    routes.urlpatterns = [  # type: ignore[attr-defined]
        path("bench/plain", lambda request: HttpResponse(b'{"answer":42}', content_type="application/json")),
        path("bench/trivial", Limited.as_view(**nothing)),
        path("bench/authenticated", Limited.as_view(throttle_classes=[])),
        path("bench/limited", Limited.as_view()),
        path("bench/drf", Limited.as_view(authentication_classes=[], throttle_classes=[Unlimited])),
        path("bench/regime/<symbol>", RegimeStateView.as_view(**nothing)),
        path("", include("avo_project.urls")),
    ]
    sys.modules["bench_routes"] = routes
    settings.ROOT_URLCONF = "bench_routes"


def write_states() -> None:
    from django_redis import get_redis_connection

    client, now = get_redis_connection("regime"), int(time.time())
    scores = {
        f"{regime}:{timeframe}": f"0.{place}3"
        for place, regime in enumerate(("bull", "bear", "sideways", "volatile", "calm"), 1)
        for timeframe in ("1w", "2w", "1mo", "2mo", "3mo", "6mo", "1y", "2y")
    }
    client.hset("argus:regime:AAPL", mapping={**scores, "computed_at": now})
    client.expire("argus:regime:AAPL", 86_000)


def request(handler: Any, route: str, **headers: str) -> Callable[[], None]:
    """A call that sends GET ``route`` through all of Django and reads the answer."""

    def call() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": route,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "localhost",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            **headers,
        }
        status: list[str] = []
        response = handler(environ, lambda line, fields: status.append(line))
        b"".join(response)
        response.close()
        assert status == ["200 OK"], (route, status)

    call()
    return call


if __name__ == "__main__":
    main()

"""The routes of the role in one process over 209,033 states, beside a trivial DRF view; no limits, nobody signed in."""

from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import orjson
from bench_project import loaded_project, print_beside
from regime_setup import fill, seconds_of

TARGETS = dict.fromkeys(
    (
        "collection",
        "by score",
        "by score, 1,000 rows",
        "50 rows never asked for",
        "1,000 rows never asked for",
        "500 symbols",
        "page 2",
    ),
    "<= 2 x",
)


def main() -> None:
    with loaded_project():
        from django.core.management import call_command
        from django.urls import path
        from django_redis import get_redis_connection
        from rest_framework.request import Request
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from regime import urls
        from regime.api import views

        class Trivial(APIView):
            def get(self, request: Request) -> Response:
                return Response({"status": "ok"})

        for view in (
            Trivial,
            views.RegimeStateView,
            views.RegimeCollectionView,
            views.MacroView,
            views.MacroSeriesView,
        ):
            view.throttle_classes = view.authentication_classes = ()
        urls.urlpatterns.append(path("trivial", Trivial.as_view()))
        fill(get_redis_connection("regime"))
        call_command("refresh_regime_collection")
        call_command("load_macro", str(Path("regime/sample_data/us_macro_vintages.csv.gz")))
        all_symbols, macro = "/api/intelligence/regime", "/api/macro"
        one = f"{all_symbols}/SYM000001"
        took = 1000 * seconds_of(asked(all_symbols))
        print(f"first collection answer of a process: {took:.0f} ms (target <= 300, 79 when loaded)")
        print(f"first macro answer of a process: {1000 * seconds_of(asked(macro)):.0f} ms (the first system: 465 ms)")
        symbols = ",".join(f"SYM{n * 400:06}" for n in range(500))
        following = orjson.loads(asked(f"{all_symbols}?order=-score")().content)["next"]
        tag = asked(one)()["ETag"]
        calls: dict[str, Callable[[], Any]] = {
            "trivial": asked("/trivial"),
            "detail": asked(one),
            "detail, 304": asked(one, HTTP_IF_NONE_MATCH=tag),
            "collection": asked(all_symbols, fresh=True),
            "collection, gzip": asked(all_symbols, HTTP_ACCEPT_ENCODING="gzip"),
            "by score": asked(f"{all_symbols}?order=-score&regime=bull&min_score=0.5", fresh=True),
            "by score, 1,000 rows": asked(f"{all_symbols}?order=-score&limit=1000", fresh=True),
            "50 rows never asked for": asked(f"{all_symbols}?min_score=0.000{n:04}" for n in count()),
            "1,000 rows never asked for": asked(
                f"{all_symbols}?order=-score&limit=1000&min_score=0.000{n:04}" for n in count()
            ),
            "500 symbols": asked(f"{all_symbols}?symbols={symbols}", fresh=True),
            "page 2": asked(f"{all_symbols}?order=-score&cursor={following}", fresh=True),
            "macro": asked(macro),
            "macro series": asked(f"{macro}/UNRATE"),
            "macro series of an earlier day": asked(f"{macro}/UNRATE?vintage=2016-07-01"),
        }
        print_beside("trivial", calls, 400, TARGETS)


def asked(path: str | Iterator[str], fresh: bool = False, **headers: str) -> Callable[[], Any]:
    """A request through all middleware, or one for each of ``path``; ``fresh`` makes the answer anew each time, as once
    a second."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory

    from regime.api.views import collection_answers

    handler = WSGIHandler()
    handler.load_middleware()
    factory = RequestFactory(SERVER_NAME="localhost")
    paths = repeat(path) if isinstance(path, str) else path

    def call() -> Any:
        if fresh:
            collection_answers.cache_clear()
        response = handler.get_response(factory.get(next(paths), **headers))
        assert response.status_code in (200, 304), response.content
        return response

    return call


if __name__ == "__main__":
    main()

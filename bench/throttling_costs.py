"""What dear queries cost beside the default page of signals: their ``throttle_cost`` follows these figures."""

import time
from typing import Any

from bench_project import loaded_project, print_beside
from http_routes import request

ENTRIES = 50_000
ROUNDS = 20
DEFAULT = "the newest 50"


def main() -> None:
    with loaded_project(THROTTLE_RATES="institutional=1000000000/min"):
        from django.contrib.auth import get_user_model
        from django.core.handlers.wsgi import WSGIHandler
        from rest_framework.authtoken.models import Token
        from signals_setup import events

        from signals_app.services.publisher import Publisher

        for _ in Publisher.connect(time.sleep).publish(events(ENTRIES)):
            pass
        key = Token.objects.create(user=get_user_model().objects.create_superuser("reader")).key
        handler, bearer = WSGIHandler(), {"HTTP_AUTHORIZATION": f"Token {key}"}
        queries = {
            DEFAULT: ("/api/signals", ""),
            "the newest 1,000": ("/api/signals", "limit=1000"),
            "a symbol that no entry has": ("/api/signals", "symbol=ZZ"),
            "a direction that every entry has": ("/api/signals", "direction=long"),
            "an explanation": ("/api/explain", "of=user:1"),
        }
        calls: dict[str, Any] = {
            name: request(handler, route, QUERY_STRING=query, **bearer) for name, (route, query) in queries.items()
        }
        print_beside(DEFAULT, calls, ROUNDS, {})


if __name__ == "__main__":
    main()

"""Load the bundled sample data. Every step may run again."""

import argparse
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from rest_framework.authtoken.models import Token

from avo_project.observability.sampler import Sampler

OPERATOR = "operator"
INBOXES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("anna@example.com", {"channel": "email", "per_minute": 30, "per_day": 2000}),
    ("ben@example.com", {"channel": "email", "per_minute": 6, "min_gap": 5}),
    ("carla@example.com", {"channel": "email", "per_minute": 60}),
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, help="Port of the web server that starts next; its URLs are printed.")

    def handle(self, *args: Any, **options: Any) -> None:
        Sampler.of().step(time.monotonic())  # the first sample precedes the first event
        self._step(
            "US macro series, two vintages",
            lambda: call_command("load_macro", _sample("regime", "us_macro_vintages.csv.gz")),
        )
        self._step("regime states from the ECB's euro rates", lambda: call_command("compute_regimes"))
        self._step("signals for what changed", lambda: call_command("derive_signals"))
        self._step("inboxes and touches", self._fill_outreach)
        self._step("the operator's account", _create_operator)
        if options["port"]:
            self._print_urls(options["port"])

    def _step(self, what: str, load: Callable[[], object]) -> None:
        self.stdout.write(f"Loading {what} …")
        started = time.monotonic()
        load()
        self.stdout.write(f"  done in {time.monotonic() - started:.1f} s")

    def _fill_outreach(self) -> None:
        for address, limits in INBOXES:
            call_command("set_inbox", address, **limits)
        call_command("enqueue_touches", _sample("outreach", "touches.ndjson"))

    def _print_urls(self, port: int) -> None:
        site = f"http://localhost:{port}"
        self.stdout.write(
            f"\nStarting at {site}\n"
            f"  admin    {site}/admin/      user {OPERATOR}, password: cat {_path('operator_password')}\n"
            f"  API      {site}/api/docs\n"
            f"  regime   curl {site}/api/intelligence/regime/EURUSD=X\n"
            f"  macro    curl {site}/api/macro\n"
            f'  signals  curl -H "Authorization: Token $(cat {_path("operator_token")})" {site}/api/signals\n'
            f'  live     curl -N -H "Authorization: Token $(cat {_path("operator_token")})" {site}/api/signals/stream\n'
            f"  mail     {settings.DATA_DIR / 'mail'}\n"
            "Ctrl-C stops everything.\n"
        )


def _create_operator() -> None:
    user, made = get_user_model().objects.get_or_create(
        username=OPERATOR, defaults={"is_staff": True, "is_superuser": True}
    )
    if made:
        password = secrets.token_urlsafe(12)
        user.set_password(password)
        user.save(update_fields=["password"])
        _keep("operator_password", password)
    if made or not (settings.DATA_DIR / "operator_token").exists():  # only a digest is in the database
        _keep("operator_token", Token.objects.create(user=user).key)


def _sample(app_label: str, name: str) -> str:
    return str(Path(apps.get_app_config(app_label).path) / "sample_data" / name)


def _path(name: str) -> Path:
    path: Path = settings.DATA_DIR / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _keep(name: str, secret: str) -> None:
    kept: Path = settings.DATA_DIR / name
    kept.touch(mode=0o600)
    kept.write_text(secret, encoding="utf-8")

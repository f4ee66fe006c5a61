"""Limits at their defaults, a Clerk of our own, and a process that knows nothing yet."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from avo_project.settings import THROTTLING
from tests.throttling.clerk import ISSUER, KEY
from throttling.services import process
from throttling.store.window_limiter import WindowLimiter

UNSET: dict[str, Any] = {
    "RATES": "",
    "STREAMS": "",
    "NUM_PROXIES": 0,
    "CLERK_ISSUER": "",
    "CLERK_JWKS_URL": "",
    "CLERK_JWT_KEY": "",
    "CLERK_AUTHORIZED_PARTIES": [],
    "CLERK_ACCEPTED_TOKENS": ["session_token"],
    "CLERK_PLAN_TIERS": "free_user=free,pro=pro,institutional=institutional",
    "CLERK_WEBHOOK_SECRET": "",
    "SCOPES": THROTTLING["SCOPES"],
    "OVERRIDE_REFRESH_SECONDS": 0,
    "TALLY_PAUSE_SECONDS": None,
    "API_KEY_REFRESH_SECONDS": 0,
    "LAST_USE_PAUSE_SECONDS": None,
}


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    process.forget()
    yield
    process.forget()


@pytest.fixture
def throttling(settings: Any, new_process: None) -> Callable[..., None]:
    """``throttling(RATES=…)`` sets the app's settings, the rest being as if no variable were set."""

    def change(**changes: Any) -> None:
        settings.THROTTLING = UNSET | changes

    change()
    return change


@pytest.fixture
def with_clerk(throttling: Callable[..., None]) -> Callable[..., None]:
    """Clerk with a fixed public key; further settings may be given."""

    def change(**changes: Any) -> None:
        throttling(CLERK_ISSUER=ISSUER, CLERK_JWT_KEY=KEY.pem, **changes)

    change()
    return change


@pytest.fixture
def limiter(redis_of: Any) -> WindowLimiter:
    return WindowLimiter(redis_of("throttling"))


@pytest.fixture
def now() -> float:
    return time.time()

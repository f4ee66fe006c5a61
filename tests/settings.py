"""The project's settings on a data folder of their own, one a test process.

AVO_TEST_REDIS chooses the server: ``embedded`` (the default), ``debian`` (redis-server from the PATH) or ``fake``.
"""

import atexit
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

REDIS_KIND = os.environ.get("AVO_TEST_REDIS", "embedded")
TEST_FOLDER = Path(tempfile.mkdtemp(prefix="avo-test-"))
atexit.register(shutil.rmtree, TEST_FOLDER, ignore_errors=True)

for name in [name for name in os.environ if name.endswith("REDIS_URL") or name.startswith(("CLERK_", "THROTTLE_"))]:
    del os.environ[name]
os.environ["AVO_DATA_DIR"] = str(TEST_FOLDER)
if REDIS_KIND == "debian":
    os.environ["REDIS_URL"] = f"unix://{TEST_FOLDER}/debian.sock"

from avo_project.settings import *  # noqa: E402, F403
from avo_project.settings import CACHES, CONSOLE, DATABASES, HEALTH, THROTTLING  # noqa: E402

if REDIS_KIND == "fake":
    for cache in CACHES.values():
        cache["OPTIONS"]["CONNECTION_FACTORY"] = "tests.doubles.FakeConnectionFactory"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": str(TEST_FOLDER / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Limits, override rows and figures are what tests/throttling is about; elsewhere they would only get in the way.
# And a busy machine must not look like a Redis that has gone.
_NO_LIMITS = "anonymous=100000/min;free=100000/min"
CACHES["throttling"]["OPTIONS"]["ROLE"] = replace(CACHES["throttling"]["OPTIONS"]["ROLE"], socket_timeout_seconds=10.0)
CONSOLE["PING_SECONDS"] = HEALTH["PING_SECONDS"] = 10.0
THROTTLING |= {"RATES": _NO_LIMITS, "OVERRIDE_REFRESH_SECONDS": None, "TALLY_PAUSE_SECONDS": None}
THROTTLING |= {"API_KEY_REFRESH_SECONDS": 0, "LAST_USE_PAUSE_SECONDS": None}

"""A setting that cannot be used stops the process with one line that names its variable."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from avo_project.runtime.conf import ConfError
from tests.throttling.clerk import KEY
from throttling.conf import ThrottlingConf

WEAK = rsa.generate_private_key(65537, 1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"RATES": "fre=60/min"}, "THROTTLE_RATES: 'fre' is not a tier"),
        ({"CLERK_PLAN_TIERS": "pro"}, "CLERK_PLAN_TIERS: cannot read 'pro'"),
        ({"CLERK_PLAN_TIERS": "gold=gold"}, "THROTTLE_RATES: the tier 'gold'"),
        ({"CLERK_ISSUER": "https://c.test", "CLERK_JWT_KEY": "rubbish"}, "CLERK_JWT_KEY: not an RSA public key"),
        (
            {"CLERK_ISSUER": "https://c.test", "CLERK_JWT_KEY": WEAK.decode()},
            "CLERK_JWT_KEY: not an RSA public key of 2048 bits",
        ),
        ({"CLERK_JWKS_URL": "https://c.test/jwks"}, "CLERK_ISSUER: required because CLERK_JWKS_URL is set"),
        ({"CLERK_WEBHOOK_SECRET": "whsec_%"}, "CLERK_WEBHOOK_SECRET: not a signing secret"),
        ({"STREAMS": "free=many"}, "THROTTLE_STREAMS: cannot read 'free=many'"),
        ({"NUM_PROXIES": -1}, "THROTTLE_NUM_PROXIES: must be 0 or more"),
    ],
)
def test_what_is_wrong_is_named(throttling: Any, changes: dict[str, Any], begins: str) -> None:
    throttling(**changes)
    with pytest.raises(ConfError) as caught:
        ThrottlingConf.load()
    assert str(caught.value).startswith(begins)


def test_clerk_as_unset_variables_leave_it(throttling: Any) -> None:
    throttling(CLERK_ISSUER="https://c.test/")
    clerk = ThrottlingConf.load().clerk
    assert clerk is not None
    assert (clerk.issuer, clerk.jwks_url, clerk.key) == ("https://c.test", "https://c.test/.well-known/jwks.json", None)


def test_a_key_on_one_line(throttling: Any) -> None:
    throttling(CLERK_ISSUER="https://c.test", CLERK_JWT_KEY=KEY.pem.replace("\n", "\\n"))
    clerk = ThrottlingConf.load().clerk
    assert clerk is not None
    assert clerk.key == KEY.public


def test_a_typo_stops_every_process(tmp_path: Path) -> None:
    environment = os.environ | {"THROTTLE_RATES": "free=60/mni", "AVO_DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "avo_project.settings"
    command = [sys.executable, "-c", "import avo_project.wsgi"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("THROTTLE_RATES: 'mni' in '60/mni' is not a unit of time")
    assert "Traceback" not in done.stderr

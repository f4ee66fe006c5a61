"""Clerk's own package for Node and we judge the same tokens the same way, without a network."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.throttling.clerk import ISSUER, KEY, OTHER_KEY, claims, claims_v1, token
from tests.throttling.test_clerk_token import forged, hs256_with_the_public_key
from throttling.domain.clerk_token import BadTokenError, identity_of, read_header, verified_claims

FOLDER = Path(__file__).parent / "clerk_backend"
PARTIES = ["https://app.avo.test"]


def give_up(why: str) -> None:
    """A laptop may do without Node; CI may not."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def clerk_backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        give_up("Node is not installed: apt-get install nodejs npm")
    folder = tmp_path_factory.mktemp("clerk-backend")
    for name in ("package.json", "package-lock.json", "verify.mjs"):
        shutil.copy(FOLDER / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode != 0:
        give_up(f"npm could not install @clerk/backend: {done.stderr[-500:]}")
    return folder


def their_verdicts(folder: Path, tokens: dict[str, str]) -> dict[str, str | None]:
    question = json.dumps({"key": KEY.pem, "authorizedParties": PARTIES, "tokens": tokens})
    done = subprocess.run(
        ["node", "verify.mjs"], cwd=folder, input=question, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, str | None] = json.loads(done.stdout)
    return answer


def our_verdict(one: str) -> str | None:
    try:
        header = read_header(one)
        return identity_of(header, verified_claims(one, KEY.public), ISSUER, PARTIES, time.time()).user_id
    except BadTokenError:
        return None


def test_the_same_verdict_on_every_token(clerk_backend: Path) -> None:
    now = int(time.time())
    good = {
        "free": token(),
        "organisation": token(plan="o:pro", org="org_desk"),
        "version 1": token(payload=claims_v1(org="org_desk")),
        "impersonated": token(act={"sub": "user_support"}),
        "a second ago": token(iat=now - 1, nbf=now - 11),
    }
    bad = {
        "expired": token(exp=now - 30),
        "not yet valid": token(nbf=now + 30),
        "other party": token(azp="https://evil.test"),
        "other key": token(OTHER_KEY, kid=KEY.kid),
        "alg none": forged({"alg": "none", "typ": "JWT", "kid": KEY.kid}),
        "HS256 with the public key": hs256_with_the_public_key(),
        "no subject": token(payload={name: value for name, value in claims().items() if name != "sub"}),
        "no token": "a.b",
    }
    ours = {name: our_verdict(one) for name, one in (good | bad).items()}
    assert ours == dict.fromkeys(good, "user_alice") | dict.fromkeys(bad)
    assert their_verdicts(clerk_backend, good | bad) == ours

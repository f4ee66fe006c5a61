"""A Clerk of our own: signing keys, tokens in the shape that Clerk mints, and a server for its key set."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://clerk.avo.test"


class SigningKey:
    """An RSA key of the name ``kid``, made when it is first needed."""

    def __init__(self, kid: str) -> None:
        self.kid = kid

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public(self) -> rsa.RSAPublicKey:
        return self.private.public_key()

    @property
    def pem(self) -> str:
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        return {
            **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.public)),
            "kid": self.kid,
            "use": "sig",
            "alg": "RS256",
        }


KEY = SigningKey("ins_first")
OTHER_KEY = SigningKey("ins_second")


def claims(
    user: str = "user_alice", plan: str | None = "u:free_user", org: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Claims of version 2; a change to None leaves a claim out."""
    now = int(time.time())
    full = {
        "azp": "https://app.avo.test",
        "exp": now + 60,
        "fea": "",
        "fva": [3, -1],
        "iat": now,
        "iss": ISSUER,
        "jti": uuid.uuid4().hex[:20],
        "nbf": now - 10,
        "pla": plan,
        "sid": f"sess_{user}",
        "sts": "active",
        "sub": user,
        "v": 2,
        "o": {"id": org, "rol": "admin", "slg": "desk"} if org else None,
        **changes,
    }
    return {name: value for name, value in full.items() if value is not None}


def claims_v1(user: str = "user_alice", org: str | None = None, **changes: Any) -> dict[str, Any]:
    """Claims of version 1: no plan, the organisation flat."""
    flat = {"org_id": org, "org_role": "org:admin", "org_slug": "desk"} if org else {}
    return claims(user, None, v=None, fea=None, jti=None, sts=None, **flat, **changes)


def token(key: SigningKey = KEY, *, kid: str | None = None, payload: dict[str, Any] | None = None, **about: Any) -> str:
    """A session token, signed as Clerk signs it."""
    return signed(payload or claims(**about), key, kid=kid or key.kid)


def signed(payload: dict[str, Any], key: SigningKey = KEY, **header: Any) -> str:
    """``payload`` under the header of a session token with changes; a change to None leaves a field out."""
    full = {"cat": "cl_B7d4PD111AAA", "kid": key.kid, "typ": "JWT", **header}
    kept = {name: value for name, value in full.items() if value is not None or name == "typ"}  # PyJWT adds a typ
    return jwt.encode(payload, key.private, algorithm="RS256", headers=kept)


def bearer(value: str) -> dict[str, str]:
    """Keyword arguments for Django's test client."""
    return {"HTTP_AUTHORIZATION": f"Bearer {value}"}


@dataclass
class JwksServer:
    """What a local JWKS address answers, and how often it was asked. ``delay_seconds`` makes it slow."""

    url: str = ""
    keys: list[SigningKey] = field(default_factory=lambda: [KEY])
    is_down: bool = False
    delay_seconds: float = 0.0
    fetches: int = 0

    def document(self) -> bytes:
        return json.dumps({"keys": [key.jwk for key in self.keys]}).encode()


@contextmanager
def jwks_server() -> Iterator[JwksServer]:
    state = JwksServer()
    pause = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.fetches += 1
            pause.wait(state.delay_seconds)
            self.send_response(503 if state.is_down else 200)
            self.end_headers()
            self.wfile.write(b"" if state.is_down else state.document())

        def log_message(self, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()

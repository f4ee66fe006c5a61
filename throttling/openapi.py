"""OpenAPI: security schemes, rate-limit headers and the error responses that every route has."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from avo_project.http.problems import MEDIA_TYPE, problem_body

Schema = dict[str, Any]


class CredentialScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "throttling.authentication.CredentialAuthentication"
    name = ["clerk", "apiKey", "xApiKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, str]]:
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A Clerk session token (RS256) or an API key. The token's plan sets the rate limit.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "An API key of a service account, sent as `Token <key>`.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "An API key of a service account. Ignored when `Authorization` is present.",
            },
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]


class AdminSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "throttling.authentication.AdminSessionAuthentication"
    name = "adminSession"


def _header(text: str, example: str | int) -> Schema:
    kind = "integer" if isinstance(example, int) else "string"
    return {"description": text, "schema": {"type": kind}, "example": example}


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _problem(text: str, headers: Schema, status: int, detail: str, problem_type: str, **members: Any) -> Schema:
    example = problem_body(status, detail, problem_type, **members)
    content = {MEDIA_TYPE: {"schema": _ref("schemas", "ProblemDetails"), "example": example}}
    return {"description": text, "headers": headers, "content": content}


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_HEADERS = {
    "RateLimit-Policy": _header(
        "Units and seconds of every window (draft-ietf-httpapi-ratelimit-headers-11). Absent while the local "
        "fallback decides because Redis does not answer.",
        '"minute";q=60;w=60',
    ),
    "RateLimit": _header(
        "Remaining units in every window, and seconds until units return. A request costs one unit unless the "
        "operation says otherwise.",
        '"minute";r=37;t=12',
    ),
    "Retry-After": _header("Seconds to wait before the next request.", 12),
    "WWW-Authenticate": _header(
        "The error of the token (RFC 6750).",
        'Bearer realm="api", error="invalid_token", error_description="The token has expired."',
    ),
}
_LIMITS = {name: _ref("headers", name) for name in ("RateLimit-Policy", "RateLimit")}
_WAIT = {"Retry-After": _ref("headers", "Retry-After")}
_RESPONSES = {
    "401": _problem(
        "The credential is missing or invalid.",
        {"WWW-Authenticate": _ref("headers", "WWW-Authenticate"), **_LIMITS},
        401,
        "The token has expired.",
        "invalid-token",
    ),
    "429": _problem(
        "A rate limit is reached. Rejected requests are not charged.",
        {**_WAIT, **_LIMITS},
        429,
        'The limit of tier free is reached ("minute";q=60;w=60). Try again in 12 s.',
        "rate-limited",
        **{"violated-policies": ["minute"], "tier": "free"},
    ),
    "503": _problem(
        "A dependency is unavailable: token keys, the rate limiter (writes only), or data that is still loading.",
        _WAIT,
        503,
        "Tokens cannot be verified at the moment. Try again.",
        "keys-unavailable",
    ),
}
_NAMES = {"401": "Unauthorized", "429": "RateLimited", "503": "Unavailable"}


def document_limits(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Postprocessing hook of drf-spectacular: adds 401, 429 and 503 to operations that do not define them."""
    components = result["components"]
    components.setdefault("schemas", {})["ProblemDetails"] = _PROBLEM
    components["headers"] = _HEADERS
    components["responses"] = {_NAMES[status]: response for status, response in _RESPONSES.items()}
    for operations in result["paths"].values():
        for operation in operations.values():
            _document(operation["responses"])
    return result


def _document(responses: Schema) -> None:
    for status, response in responses.items():
        if status != "503":
            response.setdefault("headers", {}).update(_LIMITS)
    for status, name in _NAMES.items():
        responses.setdefault(status, _ref("responses", name))

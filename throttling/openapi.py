"""What the OpenAPI document says of tokens and limits: the security scheme, and the answers that any route may give."""

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
                "description": "A Clerk session token (RS256), whose plan decides the rate limit; or an API key.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "An API key of a service account, written as `Token <key>`.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "The same key by itself. It is not read beside `Authorization`.",
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
        "Units and seconds of every window (draft-ietf-httpapi-ratelimit-headers-11). Absent while limits are "
        "local guesses, since Redis does not answer.",
        '"minute";q=60;w=60',
    ),
    "RateLimit": _header(
        "Units left in every window, and seconds until there are more. A request costs one; routes with dearer queries "
        "say so.",
        '"minute";r=37;t=12',
    ),
    "Retry-After": _header("Seconds. Waiting that long is always enough.", 12),
    "WWW-Authenticate": _header(
        "What was wrong with the token (RFC 6750).",
        'Bearer realm="api", error="invalid_token", error_description="The token has expired."',
    ),
}
_LIMITS = {name: _ref("headers", name) for name in ("RateLimit-Policy", "RateLimit")}
_WAIT = {"Retry-After": _ref("headers", "Retry-After")}
_RESPONSES = {
    "401": _problem(
        "No token where one is needed, or a bad one: never taken for anonymous.",
        {"WWW-Authenticate": _ref("headers", "WWW-Authenticate"), **_LIMITS},
        401,
        "The token has expired.",
        "invalid-token",
    ),
    "429": _problem(
        "A limit is reached. The refused request costs nothing.",
        {**_WAIT, **_LIMITS},
        429,
        'The limit of tier free is reached ("minute";q=60;w=60). Try again in 12 s.',
        "rate-limited",
        **{"violated-policies": ["minute"], "tier": "free"},
    ),
    "503": _problem(
        "Something that the answer needs is away: the keys of tokens, the counting of writes, data being loaded.",
        _WAIT,
        503,
        "Tokens cannot be checked now. Try again.",
        "keys-unavailable",
    ),
}
_NAMES = {"401": "Unauthorized", "429": "RateLimited", "503": "Unavailable"}


def document_limits(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """drf-spectacular's postprocessing hook: 401, 429 and 503 for every operation that does not tell its own."""
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

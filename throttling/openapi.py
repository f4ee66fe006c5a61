"""The OpenAPI security scheme of Clerk's tokens."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class ClerkScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "throttling.authentication.ClerkAuthentication"
    name = "clerk"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A Clerk session token (RS256). Its plan decides the rate limit.",
        }

"""System checks for accepted credentials."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as Caution

from throttling.domain.token_kinds import TokenKind


@register(Tags.security)
def accepted_tokens_can_be_verified(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warns of accepted token kinds that nothing verifies: every request with one gets a 401."""
    listed, has_clerk = settings.THROTTLING["CLERK_ACCEPTED_TOKENS"], settings.THROTTLING["CLERK_ISSUER"]
    verified = {*TokenKind} - {TokenKind.API_KEY} if has_clerk else {TokenKind.SESSION}  # without Clerk nobody signs in
    return [
        Caution(
            f"CLERK_ACCEPTED_TOKENS lists {kind}, but {TokenKind(kind).label} cannot be verified and always get a 401.",
            hint="Remove it from the list, and issue API keys of this server to programs (create_api_key)."
            if has_clerk
            else "Set CLERK_ISSUER, or unset CLERK_ACCEPTED_TOKENS.",
            id="avo.W014",
        )
        for kind in listed
        if kind not in verified
    ]

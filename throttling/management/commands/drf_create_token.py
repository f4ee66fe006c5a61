"""The command of DRF, which here creates an API key: only a digest of the token is stored."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authtoken.management.commands.drf_create_token import Command as DRFCommand

from throttling.models import APIKey
from throttling.services import api_keys


class Command(DRFCommand):
    help = (
        "Create a token for an account and print it. The token is shown once; only its digest is stored. Earlier "
        "tokens stay valid unless --reset is given."
    )

    def create_user_token(self, username: str, reset_token: bool) -> Any:
        """Raises DoesNotExist for an unknown account."""
        user = get_user_model().objects.get_by_natural_key(username)
        if reset_token:
            api_keys.revoke(APIKey.objects.filter(user=user, name=api_keys.DRF_NAME))
        return super().create_user_token(username, reset_token)

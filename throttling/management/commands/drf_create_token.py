"""DRF's command, which makes an API key: its tokens are kept as digests alone."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authtoken.management.commands.drf_create_token import Command as DRFCommand

from throttling.models import APIKey
from throttling.services import api_keys


class Command(DRFCommand):
    help = (
        "Makes a token for an account and prints it: once, since only a digest of it is kept. Those made before stay "
        "good, unless --reset is given."
    )

    def create_user_token(self, username: str, reset_token: bool) -> Any:
        """Raises DoesNotExist for an account that there is not."""
        user = get_user_model().objects.get_by_natural_key(username)
        if reset_token:
            api_keys.revoke(APIKey.objects.filter(user=user, name=api_keys.DRF_NAME))
        return super().create_user_token(username, reset_token)

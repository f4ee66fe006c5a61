from django.urls import URLPattern, path

from throttling import openapi  # noqa: F401 - registers what the schema says of credentials
from throttling.views import Limits
from throttling.webhooks import ClerkWebhook

urlpatterns: list[URLPattern] = [
    path("api/limits", Limits.as_view()),
    path("webhooks/clerk", ClerkWebhook.as_view()),
]

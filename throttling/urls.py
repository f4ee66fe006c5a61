from django.urls import URLPattern, path

from throttling.views import Limits
from throttling.webhooks import ClerkWebhook

urlpatterns: list[URLPattern] = [
    path("api/limits", Limits.as_view()),
    path("webhooks/clerk", ClerkWebhook.as_view()),
]

from django.urls import path

from signals_app.feed_view import live_feed
from signals_app.views import EventsView

urlpatterns = [
    path("api/signals", EventsView.as_view(), name="signals"),
    path("api/signals/stream", live_feed, name="signals-stream"),
]

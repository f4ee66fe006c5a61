from django.urls import path

from signals_app.feed_view import FeedView
from signals_app.views import EventsView

urlpatterns = [
    path("api/signals", EventsView.as_view(), name="signals"),
    path("api/signals/stream", FeedView.as_view(), name="signals-stream"),
]

from django.urls import path

from signals_app.api.feed import FeedView
from signals_app.api.views import EventsView

urlpatterns = [
    path("api/signals", EventsView.as_view(), name="signals"),
    path("api/signals/stream", FeedView.as_view(), name="signals-stream"),
]

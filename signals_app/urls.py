from django.urls import path

from signals_app.views import EventsView

urlpatterns = [
    path("api/signals", EventsView.as_view(), name="signals"),
]

from django.urls import URLPattern, path

from outreach.api import views

urlpatterns: list[URLPattern] = [
    path("api/outreach/touches", views.TouchesView.as_view()),
    path("api/outreach/touches/<str:touch_id>", views.TouchView.as_view()),
    path("u/<str:token>", views.unsubscribe, name="unsubscribe"),
]

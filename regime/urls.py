from django.urls import URLPattern, path, register_converter

from regime.api import views


class AnyText:
    """Matches any text: symbols contain slashes, and an invalid one gets a problem instead of a bare 404."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(AnyText, "anytext")

urlpatterns: list[URLPattern] = [
    path("api/intelligence/regime", views.RegimeCollectionView.as_view()),
    path("api/intelligence/regime/<anytext:symbol>", views.RegimeStateView.as_view()),
    path("api/macro", views.MacroView.as_view()),
    path("api/macro/<anytext:series_id>", views.MacroSeriesView.as_view()),
]

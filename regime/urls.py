from django.urls import URLPattern, path, register_converter

from regime.api import views


class AnyText:
    """Symbols hold slashes; whatever else stands there is refused by name and not with a bare 404."""

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

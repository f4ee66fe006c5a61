"""All routes of the project."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from avo_project import health
from avo_project.console.explain import ExplainView
from avo_project.http.problems import only_safe_methods
from avo_project.http.rendering import FormatInQueryNegotiation
from avo_project.observability import metrics

admin.autodiscover()
admin.site.site_url = "/api/docs"

urlpatterns = [
    path("", only_safe_methods(RedirectView.as_view(url="/api/docs"))),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics_page),
    path(
        "api/schema",
        SpectacularAPIView.as_view(
            throttle_classes=[], metadata_class=None, content_negotiation_class=FormatInQueryNegotiation
        ),
        name="schema",
    ),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(
            url_name="schema", template_name="api_docs.html", throttle_classes=[], metadata_class=None
        ),
    ),
    path("api/explain", ExplainView.as_view()),
    path("admin/", admin.site.urls),
    path("", include("regime.urls")),
    path("", include("signals_app.urls")),
    path("", include("outreach.urls")),
    path("", include("throttling.urls")),
]

handler400 = "avo_project.http.problems.bad_request"
handler403 = "avo_project.http.problems.permission_denied"
handler404 = "avo_project.http.problems.not_found"
handler500 = "avo_project.http.problems.server_error"

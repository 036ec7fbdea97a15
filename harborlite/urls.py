"""Where everything is mounted."""

from django.urls import include, path, re_path

from accounts.urls import page_urlpatterns as account_pages
from accounts.urls import session_urlpatterns as sessions
from harborlite import docs, health
from harborlite.rest.views import NoSuchOperation
from projects.urls import page_urlpatterns as project_pages
from registry.urls import api_urlpatterns as registry_api
from registry.urls import page_urlpatterns as registry_pages

urlpatterns = [
    path("", include("registry.urls")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("", include(sessions)),
    path("api/docs", docs.page),
    path("api/version", docs.version),
    path("api/v2.0/openapi.json", docs.openapi, name="openapi"),
    path("api/v2.0/health", health.Health.as_view()),
    path("api/v2.0/ping", health.Ping.as_view()),
    path("api/v2.0/", include("system.urls")),
    path("api/v2.0/", include("accounts.urls")),
    path("api/v2.0/", include("remotes.urls")),
    path("api/v2.0/", include("projects.urls")),
    path("api/v2.0/", include(registry_api)),
    path("api/v2.0/", include("retention.urls")),
    re_path("^api/", NoSuchOperation.as_view()),
    path("", include(account_pages)),
    path("", include(project_pages)),
    path("", include(registry_pages)),
]

handler400 = "harborlite.rest.answers.bad_request"
handler404 = "harborlite.rest.answers.not_found"
handler500 = "harborlite.rest.answers.server_error"

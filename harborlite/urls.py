"""Where everything is mounted."""

from django.urls import include, path

from harborlite import health

urlpatterns = [
    path("", include("registry.urls")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/v2.0/health", health.health),
    path("api/v2.0/ping", health.ping),
]

handler400 = "harborlite.rest.bad_request"
handler404 = "harborlite.rest.not_found"
handler500 = "harborlite.rest.server_error"

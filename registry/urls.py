"""The registry's routes: the protocol and its token service."""

from django.urls import include, path

from registry.v2.catalog import Base
from registry.v2.token import TokenView

urlpatterns = [
    path("v2", Base.as_view()),
    path("v2/", include("registry.v2.urls")),
    path("service/token", TokenView.as_view()),
]

"""The routes of other registries in the REST API, under /api/v2.0/."""

from django.urls import URLPattern, path

from remotes import api

urlpatterns: list[URLPattern] = [
    path("registries", api.RegistryList.as_view()),
    path("registries/ping", api.RegistryPing.as_view()),
    path("registries/<id:remote_id>", api.RegistryDetail.as_view()),
    path("registries/<id:remote_id>/info", api.RegistryInfo.as_view()),
    path("replication/adapters", api.Adapters.as_view()),
    path("replication/adapterinfos", api.AdapterInfos.as_view()),
]

"""The routes of the instance's own affairs in the REST API, under /api/v2.0/."""

from django.urls import path

from system.api.audit import EventTypes
from system.api.configurations import Configurations
from system.api.systeminfo import Certificate, GeneralInfo, Volumes

urlpatterns = [
    path("auditlog-exts/events", EventTypes.as_view()),
    path("configurations", Configurations.as_view()),
    path("systeminfo", GeneralInfo.as_view()),
    path("systeminfo/volumes", Volumes.as_view()),
    path("systeminfo/getcert", Certificate.as_view()),
]

"""What this server is: a little for everybody, more for who is signed in."""

import shutil
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers

from harborlite.errors import NotFound
from harborlite.http import external_url
from harborlite.rest.fields import Moment
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from system import config

HARBOR = "v2.13.0"
"""The version of Harbor whose API this is. Harbor's own replication reads it."""
CERTIFICATE = settings.DATA / "ca.crt"


class GeneralInfoOut(serializers.Serializer[Any]):
    auth_mode = serializers.CharField()
    primary_auth_mode = serializers.BooleanField()
    self_registration = serializers.BooleanField()
    banner_message = serializers.CharField()
    oidc_provider_name = serializers.CharField()
    # Only for who is signed in.
    current_time = Moment(required=False)
    external_url = serializers.CharField(required=False)
    registry_url = serializers.CharField(required=False)
    harbor_version = serializers.CharField(required=False)
    project_creation_restriction = serializers.CharField(required=False)
    has_ca_root = serializers.BooleanField(required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]  # Field has an attribute so named
    notification_enable = serializers.BooleanField(required=False)
    registry_storage_provider_name = serializers.CharField(required=False)


class StorageOut(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    free = serializers.IntegerField()


class SystemInfoOut(serializers.Serializer[Any]):
    storage = StorageOut(many=True)


class GeneralInfo(RestView):
    needs = {"GET": None}

    @operation(gives=GeneralInfoOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """What this server is; more for who is signed in"""
        values = config.everything()
        told = ["auth_mode", "primary_auth_mode", "self_registration", "banner_message"]
        shown: dict[str, Any] = {"oidc_provider_name": ""}
        if self.actor.kind != "anonymous":
            told += ["project_creation_restriction", "read_only", "notification_enable"]
            url = external_url(request)
            shown |= {
                "current_time": timezone.now(),
                "external_url": url,
                "registry_url": url.partition("://")[2],
                "harbor_version": f"{HARBOR}-harborlite-{version('harborlite')}",
                "has_ca_root": url.startswith("https://") and CERTIFICATE.is_file(),
                "registry_storage_provider_name": settings.STORAGE,
            }
        return self.shown(GeneralInfoOut(shown | {name: values[name] for name in told}))


class Volumes(RestView):
    needs = {"GET": "system-volumes:read"}

    @operation(gives=SystemInfoOut)
    def get(self, request: HttpRequest) -> HttpResponse:
        """Size and free space of the file system that holds the blobs or, with S3, of the server's own data"""
        usage = shutil.disk_usage(settings.DATA)
        return self.shown(SystemInfoOut({"storage": [{"total": usage.total, "free": usage.free}]}))


class Certificate(RestView):
    needs = {"GET": None}

    @operation(gives=OpenApiTypes.BINARY, media="application/octet-stream")
    def get(self, request: HttpRequest) -> HttpResponse:
        """The certificate of the authority that signed this server's, when an administrator has put it there"""
        try:
            content = CERTIFICATE.read_bytes()
        except FileNotFoundError:
            raise NotFound("this server has no certificate to give") from None
        headers = {"Content-Disposition": 'attachment; filename="ca.crt"', "Content-Type": "application/octet-stream"}
        return HttpResponse(content, headers=headers)

"""REST: the registries that this one talks to, and what kinds of them there are."""

from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from harborlite.rest.fields import Flag, Id, Line, Moment, Secret
from harborlite.rest.fields import Text as TextField
from harborlite.rest.listing import Field, Listing, Number, Text
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.views import RestView
from remotes import queries, services
from remotes.clients import Endpoint
from remotes.kinds import KINDS, Kind
from remotes.models import Remote

OURSELVES = 0
"""Harbor's id of the registry that is asked."""
LISTING = Listing(
    {
        "name": Field("name", Text),
        "url": Field("url", Text),
        "type": Field("kind", Text),
        "description": Field("description", Text),
        "status": Field("status", Text),
        "id": Field("pk", Number),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
    },
    default="name",
)


# What is taken. Fields are named as in Harbor, `source` as in remotes.


class CredentialIn(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["basic", ""], required=False, allow_null=True)
    access_key = Line(max_length=1024, required=False, allow_blank=True, allow_null=True)
    access_secret = Secret(max_length=16384, required=False, allow_blank=True, allow_null=True)


class RegistryIn(serializers.Serializer[Any]):
    name = Line(max_length=64)
    type = serializers.CharField(max_length=32)
    url = Line(max_length=1024)
    description = TextField(required=False, allow_blank=True, default="")
    credential = CredentialIn(required=False, allow_null=True)
    insecure = Flag(required=False, default=False)
    ca_certificate = TextField(max_length=65536, required=False, allow_blank=True, allow_null=True)


class EndpointIn(serializers.Serializer[Any]):
    """What RegistryUpdate and RegistryPing share: what is null or missing stays as it is."""

    url = Line(max_length=1024, required=False, allow_null=True)
    credential_type = serializers.ChoiceField(["basic", ""], required=False, allow_null=True)
    access_key = Line(max_length=1024, required=False, allow_blank=True, allow_null=True)
    access_secret = Secret(max_length=16384, required=False, allow_blank=True, allow_null=True)
    insecure = Flag(required=False, allow_null=True)
    ca_certificate = TextField(max_length=65536, required=False, allow_blank=True, allow_null=True)


class RegistryUpdateIn(EndpointIn):
    name = Line(max_length=64, required=False, allow_null=True)
    description = TextField(required=False, allow_blank=True, allow_null=True)


class RegistryPingIn(EndpointIn):
    id = Id(required=False, allow_null=True)
    type = serializers.CharField(max_length=32, required=False, allow_null=True)


class ListQuery(serializers.Serializer[Any]):
    name = Line(required=False, help_text="A part of the name.")


def _endpoint(given: dict[str, Any]) -> Endpoint:
    """Of a body that says everything."""
    credential = given.get("credential") or given
    return Endpoint(
        kind=given.get("type") or "",
        url=given.get("url") or "",
        access_key=credential.get("access_key") or "",
        access_secret=credential.get("access_secret") or "",
        insecure=given.get("insecure") or False,
        ca_certificate=given.get("ca_certificate") or "",
    )


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """Of a body that says what is to change, in the words of remotes.services."""
    words = {"type": "kind"}
    return {words.get(key, key): value for key, value in given.items() if key not in ("id", "credential_type")}


# What is given.


class CredentialOut(serializers.Serializer[Remote]):
    type = serializers.SerializerMethodField()
    access_key = serializers.CharField()
    access_secret = serializers.SerializerMethodField()

    def get_type(self, remote: Remote) -> str:
        """The only one there is."""
        return "basic"

    def get_access_secret(self, remote: Remote) -> str:
        """Never the secret; only whether there is one."""
        return services.HIDDEN if remote.sealed_secret else ""


class RegistryOut(serializers.Serializer[Remote]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    url = serializers.CharField()
    type = serializers.CharField(source="kind")
    description = serializers.CharField()
    credential = CredentialOut(source="*")
    insecure = serializers.BooleanField()
    ca_certificate = serializers.CharField()
    status = serializers.CharField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")


class FilterOut(serializers.Serializer[Any]):
    type = serializers.CharField()
    style = serializers.CharField()  # type: ignore[assignment]  # DRF's fields have an attribute of that name
    values = serializers.ListField(child=serializers.CharField(), required=False)


class InfoOut(serializers.Serializer[Kind]):
    type = serializers.CharField(source="name")
    description = serializers.CharField(source="title")
    supported_resource_filters = FilterOut(source="filters", many=True)
    supported_triggers = serializers.ListField(source="triggers", child=serializers.CharField())
    supported_copy_by_chunk = serializers.SerializerMethodField()

    def get_supported_copy_by_chunk(self, kind: Kind) -> bool:
        """Every registry of the OCI distribution protocol takes blobs in chunks."""
        return True


class AdaptersOut(serializers.ListSerializer[Any]):
    child = serializers.CharField()


class NamedEndpointOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    value = serializers.CharField()


class EndpointPatternOut(serializers.Serializer[Any]):
    endpoint_type = serializers.CharField()
    endpoints = NamedEndpointOut(many=True)


class CredentialPatternOut(serializers.Serializer[Any]):
    access_key_type = serializers.CharField()
    access_key_data = serializers.CharField()
    access_secret_type = serializers.CharField()
    access_secret_data = serializers.CharField()


class PatternsOut(serializers.Serializer[Kind]):
    """How registries of a kind are written down, in Harbor's words."""

    endpoint_pattern = EndpointPatternOut(source="*")
    credential_pattern = CredentialPatternOut(source="*")

    def to_representation(self, instance: Kind) -> dict[str, Any]:
        pattern = {0: "Standard", 1: "Fix"}.get(len(instance.endpoints), "List")
        return {
            "endpoint_pattern": {
                "endpoint_type": f"EndpointPatternType{pattern}",
                "endpoints": [{"key": key, "value": value} for key, value in instance.endpoints],
            },
            "credential_pattern": {
                "access_key_type": "AccessKeyTypeFix" if instance.access_key else "AccessKeyTypeStandard",
                "access_key_data": instance.access_key,
                "access_secret_type": "AccessSecretTypeFile" if instance.is_key_file else "AccessSecretTypeStandard",
                "access_secret_data": "No Change" if instance.is_key_file else "",
            },
        }


class AdapterInfosOut(serializers.Serializer[Any]):
    """By the kind's name."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: PatternsOut(source="*") for name in KINDS}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {name: PatternsOut(kind).data for name, kind in KINDS.items()}


class RegistryList(RestView):
    needs = {"GET": "registry:list", "POST": "registry:create"}

    @operation(gives=RegistryOut, many=True, listing=LISTING, query=ListQuery)
    def get(self, request: Request) -> HttpResponse:
        """The registries that this one talks to"""
        asked = self.parameters(ListQuery)
        rows = queries.remotes()
        if "name" in asked:
            rows = rows.filter(name__icontains=asked["name"])
        return self.listed(rows, LISTING, RegistryOut)

    @operation(takes=RegistryIn, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Make a registry known; it is asked whether it is one"""
        given = self.body(RegistryIn)
        remote = services.remote_create(name=given["name"], description=given["description"], endpoint=_endpoint(given))
        return self.created(f"/api/v2.0/registries/{remote.pk}")


class RegistryPing(RestView):
    needs = {"POST": "registry:read"}

    @operation(takes=RegistryPingIn)
    def post(self, request: Request) -> HttpResponse:
        """Ask a registry whether it is well: a known one, perhaps with other values, or one that is not known"""
        given = self.body(RegistryPingIn)
        if given.get("id") is not None:
            remote = queries.remote_get(given["id"])
            services.remote_ping(endpoint=services.changed(remote, _changes(given)))
        else:
            services.remote_ping(endpoint=_endpoint(given))
        return self.done()


class RegistryDetail(RestView):
    needs = {"GET": "registry:read", "PUT": "registry:update", "DELETE": "registry:delete"}

    @operation(gives=RegistryOut)
    def get(self, request: Request, remote_id: int) -> HttpResponse:
        """A registry"""
        return self.shown(RegistryOut(queries.remote_get(remote_id)))

    @operation(takes=RegistryUpdateIn)
    def put(self, request: Request, remote_id: int) -> HttpResponse:
        """Change a registry; what is null or missing stays as it is"""
        remote = queries.remote_get(remote_id)
        services.remote_update(remote=remote, changes=_changes(self.body(RegistryUpdateIn)))
        return self.done()

    @operation()
    def delete(self, request: Request, remote_id: int) -> HttpResponse:
        """Forget a registry and its credentials"""
        services.remote_delete(remote=queries.remote_get(remote_id))
        return self.done()


class RegistryInfo(RestView):
    needs = {"GET": "registry:read"}

    @operation(gives=InfoOut)
    def get(self, request: Request, remote_id: int) -> HttpResponse:
        """What can be done with a registry; 0 is this one"""
        name = "harborlite" if remote_id == OURSELVES else queries.remote_get(remote_id).kind
        return self.shown(InfoOut(KINDS[name]))


class Adapters(RestView):
    needs = {"GET": "replication-adapter:list"}

    @operation(gives=AdaptersOut)
    def get(self, request: Request) -> HttpResponse:
        """What kinds of registries there are"""
        return self.shown(AdaptersOut(list(KINDS)))


class AdapterInfos(RestView):
    needs = {"GET": "replication-adapter:list"}

    @operation(gives=AdapterInfosOut)
    def get(self, request: Request) -> HttpResponse:
        """How each kind of registry is written down"""
        return self.shown(AdapterInfosOut(KINDS))

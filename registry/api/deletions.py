"""The recycle bin of a project: what was deleted and can be restored, restoring it, and deleting it for good."""

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from harborlite.errors import BadRequest, Denied
from harborlite.rest.fields import Moment
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from projects import rbac
from projects.api.base import ProjectView
from registry import queries
from registry.api.base import RepositoryView
from registry.artifacts import full_name
from registry.models import Deletion
from registry.oci.digest import Digest
from registry.services import deletions, restorations
from registry.services.restorations import Restored

MOST_TAGS = 1000
LISTING = Listing(
    {
        "id": Field("pk", Number),
        "kind": Field("kind"),
        "repository": Field("repository"),
        "digest": Field("digest"),
        "reason": Field("reason"),
        "username": Field("username"),
        "artifact_count": Field("artifact_count", Number),
        "size": Field("size", Number),
        "op_time": Field("at", MomentKind),
        "expires_at": Field("expires_at", MomentKind),
    },
    default="-id",
)


class DeletionOut(serializers.Serializer[Deletion]):
    """Something that was deleted."""

    id = serializers.IntegerField()
    kind = serializers.CharField(help_text="artifact or repository.")
    repository = serializers.CharField(help_text="Its name at that time, without the project's.")
    repository_id = serializers.IntegerField()
    digest = serializers.CharField(allow_null=True, help_text="Of an artifact.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Of an artifact.")
    reason = serializers.CharField(help_text="user, retention, or gc.")
    username = serializers.CharField()
    artifact_count = serializers.IntegerField(help_text="Manifests that went together.")
    size = serializers.IntegerField(help_text="Bytes of these and of their blobs.")
    op_time = Moment(source="at")
    expires_at = Moment(help_text="Until then it can be restored.")


class RestoredOut(serializers.Serializer[Restored]):
    """What came back."""

    repository_id = serializers.IntegerField(source="repository.pk")
    repository_name = serializers.SerializerMethodField(help_text="PROJECT/PATH; perhaps not what it was called then.")
    artifacts = serializers.IntegerField(help_text="Manifests that were not there.")
    tags = serializers.SerializerMethodField(help_text="How many came back.")
    taken_tags = serializers.SerializerMethodField(
        help_text=f"Those, up to {MOST_TAGS}, that did not, for they point elsewhere now."
    )

    def get_repository_name(self, restored: Restored) -> str:
        return full_name(restored.repository)

    def get_tags(self, restored: Restored) -> int:
        return len(restored.tags)

    def get_taken_tags(self, restored: Restored) -> list[str]:
        return list(restored.taken[:MOST_TAGS])


class DeletionList(ProjectView):
    needs = {"GET": "artifact:create"}

    @operation(gives=DeletionOut, many=True, listing=LISTING)
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        """What was deleted in a project and can be restored, the latest first"""
        return self.listed(queries.deletions_of(self.project), LISTING, DeletionOut)


class DeletionDetail(ProjectView):
    needs = {"GET": "artifact:create", "DELETE": "artifact:delete"}

    @operation(gives=DeletionOut)
    def get(self, request: HttpRequest, project: str, deletion_id: int) -> HttpResponse:
        """Something that was deleted and can be restored"""
        return self.shown(DeletionOut(queries.deletion_get(self.project, deletion_id)))

    @operation()
    def delete(self, request: HttpRequest, project: str, deletion_id: int) -> HttpResponse:
        """Delete for good what was deleted: it can't be restored any more"""
        found = queries.deletion_get(self.project, deletion_id)
        if not rbac.allowed(self.actor, self.project, f"{found.kind}:delete"):
            raise Denied()
        deletions.deletion_purge(project=self.project, deletion_id=found.pk)
        return self.done()


class DeletionRestore(ProjectView):
    needs = {"POST": "artifact:create"}

    @operation(gives=RestoredOut)
    def post(self, request: HttpRequest, project: str, deletion_id: int) -> HttpResponse:
        """Restore what was deleted: an artifact with what went with it, or a repository with its history

        Tags come back that are free. What a listed artifact needs and was deleted by itself comes along.
        """
        restored = restorations.deletion_restore(
            project=self.project, deletion_id=deletion_id, actor=self.actor.username
        )
        return self.shown(RestoredOut(restored))


class ArtifactRestore(RepositoryView):
    needs = {"POST": "artifact:create"}

    @operation(gives=RestoredOut)
    def post(self, request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponse:
        """Restore the artifact of a digest, such as a tag's history tells, so that it can be pulled by it

        When it is there already, nothing changes.
        """
        if Digest.parse_or_none(reference) is None:
            raise BadRequest("reference: a deleted artifact is restored by its digest")
        restored = restorations.artifact_restore(
            repository=self.repository, digest=reference, actor=self.actor.username
        )
        return self.shown(RestoredOut(restored))

"""Pages of the registry: a project's repositories, and of a repository its tags and their history."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from harborlite.console.tables import Column, Table
from harborlite.http import external_url
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from projects.immutability import matcher_for
from projects.models import Project
from projects.views.pages import ProjectPage
from registry import queries
from registry.artifacts import full_name
from registry.models import Repository
from registry.oci import names
from registry.services import restorations, tags

REPOSITORIES = Listing(
    {
        "name": Field("name"),
        "artifacts": Field("artifact_count", Number),
        "pulls": Field("pull_count", Number),
        "updated": Field("updated_at", MomentKind),
    },
    default="-updated",
)
REPOSITORY_COLUMNS = (
    Column(gettext_lazy("Repository"), "name"),
    Column(gettext_lazy("Artifacts"), "artifacts", is_number=True),
    Column(gettext_lazy("Pulls"), "pulls", is_number=True),
    Column(gettext_lazy("Updated"), "updated"),
)
TAGS = Listing(
    {
        "name": Field("name"),
        "size": Field("manifest__artifact_size", Number),
        "pushed": Field("moved_at", MomentKind),
        "pulled": Field("pulled_at", MomentKind),
    },
    default="-pushed",
)
TAG_COLUMNS = (
    Column(gettext_lazy("Tag"), "name"),
    Column(gettext_lazy("Digest")),
    Column(gettext_lazy("Kind")),
    Column(gettext_lazy("Size"), "size", is_number=True),
    Column(gettext_lazy("Pushed"), "pushed"),
    Column(gettext_lazy("Pulled"), "pulled"),
    Column(""),
)
MOVES = Listing({"tag": Field("tag"), "id": Field("pk", Number)}, default="-id")
MOVE_COLUMNS = (
    Column(gettext_lazy("Tag"), "tag"),
    Column(gettext_lazy("From")),
    Column(gettext_lazy("To")),
    Column(gettext_lazy("By")),
    Column(gettext_lazy("When"), "id"),
    Column(""),
)


class Repositories(ProjectPage):
    needs = {"GET": "repository:list"}
    tab = "repositories"

    def get(self, request: Request, project: str) -> HttpResponse:
        rows = queries.repositories_of(Project.objects.filter(pk=self.project.pk))
        table = Table(request._request, rows, REPOSITORIES, REPOSITORY_COLUMNS)
        commands = push_commands(external_url(request._request), f"{self.project.name}/IMAGE", self.actor.username)
        return self.inside("registry/repositories.html", {"table": table, "commands": commands})


class RepositoryPage(ProjectPage):
    """A page inside the repository that the path names."""

    repository: Repository

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        self.repository = queries.repository_get(self.project, self.kwargs["repository"])

    @property
    def path(self) -> str:
        return f"/projects/{self.project.name}/{self.repository.name}/-"

    def inside(
        self, template: str, context: Mapping[str, Any] | None = None, *, status: int = HTTPStatus.OK
    ) -> HttpResponse:
        return super().inside(template, {"repository": self.repository, **(context or {})}, status=status)


class Tags(RepositoryPage):
    needs = {"GET": "tag:list"}
    tab = "tags"

    def get(self, request: Request, project: str, repository: str) -> HttpResponse:
        table = Table(request._request, queries.tags_shown(self.repository), TAGS, TAG_COLUMNS)
        is_immutable, url = matcher_for(self.project), external_url(request._request)
        name = full_name(self.repository)
        for tag in table.rows:
            tag.is_immutable = is_immutable(self.repository.name, tag.name)
            tag.pull = f"docker pull {url.partition('://')[2]}/{name}:{tag.name}"
        commands = push_commands(url, name, self.actor.username)
        return self.inside("registry/tags.html", {"table": table, "commands": commands})


class TagDelete(RepositoryPage):
    needs = {"GET": "tag:delete", "POST": "tag:delete"}
    tab = "tags"

    def get(self, request: Request, project: str, repository: str, tag: str) -> HttpResponse:
        found = queries.tag_get(self.repository, names.check_tag(tag))
        return self.inside("registry/tag_delete.html", {"tag": found})

    def post(self, request: Request, project: str, repository: str, tag: str) -> HttpResponse:
        tags.tag_delete(repository_id=self.repository.pk, name=names.check_tag(tag), actor=self.actor.username)
        return self.see_other(f"{self.path}/tags", _("The tag %(tag)s was deleted.") % {"tag": tag})


class History(RepositoryPage):
    needs = {"GET": "tag:list", "POST": "tag:create"}
    tab = "history"

    def get(self, request: Request, project: str, repository: str) -> HttpResponse:
        table = Table(request._request, queries.tag_moves(self.repository), MOVES, MOVE_COLUMNS, searched="tag")
        for move in table.rows:
            move.can_restore = move.to_exists if move.to_digest else move.from_exists
        return self.inside("registry/history.html", {"table": table})

    def post(self, request: Request, project: str, repository: str) -> HttpResponse:
        tag = names.check_tag(self.form().get("tag", ""))
        digest = queries.digest_to_restore(self.repository, tag, move_id=self.number("move"))
        restorations.tag_restore(repository=self.repository, digest=digest, name=tag, actor=self.actor.username)
        return self.see_other(f"{self.path}/tags", _("The tag %(tag)s was restored.") % {"tag": tag})


def push_commands(url: str, name: str, username: str) -> dict[str, Any]:
    """Lines for a terminal that push to the repository `name` of the server at `url`."""
    scheme, _colon, host = url.partition("://")
    target, user = f"{host}/{name}", username or "USER"
    plain = scheme == "http"
    no_tls = " --tls-verify=false" if plain else ""
    skopeo = " --dest-tls-verify=false" if plain else ""
    oras = " --plain-http" if plain else ""
    secret = f"kubectl create secret docker-registry {host.partition(':')[0]}"
    return {
        "is_plain": plain,
        "login": f"docker login {host} --username {user}",
        "tag": f"docker tag IMAGE:TAG {target}:TAG",
        "push": f"docker push {target}:TAG",
        "others": [
            ("podman", f"podman push{no_tls} IMAGE:TAG {target}:TAG"),
            ("nerdctl", f"nerdctl push{' --insecure-registry' if plain else ''} {target}:TAG"),
            ("skopeo", f"skopeo copy{skopeo} docker://docker.io/library/IMAGE:TAG docker://{target}:TAG"),
            ("helm", f"helm push{oras} CHART.tgz oci://{host}/{name.partition('/')[0]}"),
            ("oras", f"oras push{oras} {target}:TAG FILE"),
            ("Kubernetes", f"{secret} --docker-server={host} --docker-username={user} --docker-password=SECRET"),
        ],
    }

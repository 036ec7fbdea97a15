"""The registry's routes: the protocol and its token service, and under /api/v2.0/ the REST API."""

from django.urls import URLPattern, include, path, register_converter

from registry import views
from registry.api import (
    accessories,
    additions,
    artifact_labels,
    artifacts,
    deletions,
    gc,
    history,
    many,
    repositories,
    search,
    sizes,
    statistics,
    tags,
)
from registry.api.converters import RepositoryConverter
from registry.v2.catalog import Base
from registry.v2.token import TokenView

register_converter(RepositoryConverter, "repository")

urlpatterns = [
    path("v2", Base.as_view()),
    path("v2/", include("registry.v2.urls")),
    path("service/token", TokenView.as_view()),
]

_REPOSITORIES = "projects/<str:project>/repositories"
_REPOSITORY = f"{_REPOSITORIES}/<repository:repository>"
_ARTIFACTS = f"{_REPOSITORY}/artifacts"
_ARTIFACT = f"{_ARTIFACTS}/<str:reference>"

api_urlpatterns: list[URLPattern] = [
    path("search", search.Search.as_view()),
    path("statistics", statistics.Statistics.as_view()),
    path("system/gc", gc.GcList.as_view()),
    path("system/gc/schedule", gc.GcSchedule.as_view()),
    path("system/gc/<id:gc_id>", gc.GcDetail.as_view()),
    path("system/gc/<id:gc_id>/log", gc.GcLog.as_view()),
    path("projects/<str:project>/artifacts", artifacts.ProjectArtifactList.as_view()),
    path("projects/<str:project>/deletions", deletions.DeletionList.as_view()),
    path("projects/<str:project>/deletions/<id:deletion_id>", deletions.DeletionDetail.as_view()),
    path("projects/<str:project>/deletions/<id:deletion_id>/restore", deletions.DeletionRestore.as_view()),
    path("projects/<str:project>/sizes", sizes.ProjectSizes.as_view()),
    path("repositories", repositories.RepositoryListOfAll.as_view()),
    path(_REPOSITORIES, repositories.RepositoryList.as_view()),
    path(f"{_REPOSITORIES}/_delete", many.RepositoriesDelete.as_view()),
    path(f"{_REPOSITORY}/_delete", many.ArtifactsDelete.as_view()),
    path(_REPOSITORY, repositories.RepositoryDetail.as_view()),
    path(f"{_REPOSITORY}/redirects", repositories.RedirectList.as_view()),
    path(f"{_REPOSITORY}/redirects/<repository:name>", repositories.RedirectDetail.as_view()),
    path(f"{_REPOSITORY}/history", history.RepositoryHistory.as_view()),
    path(f"{_REPOSITORY}/sizes", sizes.RepositorySizes.as_view()),
    path(f"{_REPOSITORY}/tags/_delete", many.TagsDelete.as_view()),
    path(f"{_REPOSITORY}/tags/<str:tag>/history", history.TagHistory.as_view()),
    path(f"{_REPOSITORY}/tags/<str:tag>/past", history.TagPast.as_view()),
    path(f"{_REPOSITORY}/tags/<str:tag>/restore", history.TagRestore.as_view()),
    path(_ARTIFACTS, artifacts.ArtifactList.as_view()),
    path(_ARTIFACT, artifacts.ArtifactDetail.as_view()),
    path(f"{_ARTIFACT}/accessories", accessories.AccessoryList.as_view()),
    path(f"{_ARTIFACT}/additions/<str:addition>", additions.ArtifactAddition.as_view()),
    path(f"{_ARTIFACT}/labels", artifact_labels.ArtifactLabels.as_view()),
    path(f"{_ARTIFACT}/labels/<id:label_id>", artifact_labels.ArtifactLabel.as_view()),
    path(f"{_ARTIFACT}/restore", deletions.ArtifactRestore.as_view()),
    path(f"{_ARTIFACT}/tags", tags.TagList.as_view()),
    path(f"{_ARTIFACT}/tags/<str:name>", tags.TagDetail.as_view()),
]

# A repository's path may have slashes, and no component of it is a hyphen alone: that ends it.
_REPOSITORY_PAGE = "projects/<str:project>/<path:repository>/-"

page_urlpatterns: list[URLPattern] = [
    path("projects/<str:project>", views.Repositories.as_view()),
    path(f"{_REPOSITORY_PAGE}/tags", views.Tags.as_view()),
    path(f"{_REPOSITORY_PAGE}/tags/<str:tag>/delete", views.TagDelete.as_view()),
    path(f"{_REPOSITORY_PAGE}/history", views.History.as_view()),
]

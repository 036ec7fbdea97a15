"""The routes of retention, under /api/v2.0/."""

from django.urls import URLPattern, path

from retention.api import executions, expiry, in_use, policies

_EXECUTIONS = "retentions/<id:policy_id>/executions"
_EXECUTION = f"{_EXECUTIONS}/<id:execution_id>"

urlpatterns: list[URLPattern] = [
    path("retentions/metadatas", policies.Metadata.as_view()),
    path("retentions", policies.PolicyList.as_view()),
    path("retentions/<id:policy_id>", policies.PolicyDetail.as_view()),
    path(_EXECUTIONS, executions.ExecutionList.as_view()),
    path(_EXECUTION, executions.ExecutionDetail.as_view()),
    path(f"{_EXECUTION}/tasks", executions.TaskList.as_view()),
    path(f"{_EXECUTION}/tasks/<id:task_id>", executions.TaskLog.as_view()),
    path(f"{_EXECUTION}/artifacts", executions.ArtifactList.as_view()),
    path("projects/<str:project>/in-use", in_use.InUseList.as_view()),
    path("projects/<str:project>/in-use/<str:source>", in_use.InUseOfSource.as_view()),
    path(
        "projects/<str:project>/repositories/<repository:repository>/tags/<str:tag>/expiry", expiry.TagExpiry.as_view()
    ),
]

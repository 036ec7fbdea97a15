"""The routes of projects: in the REST API, under /api/v2.0/, and pages."""

from django.urls import URLPattern, path

from projects.api import (
    current_permissions,
    deletions,
    explain,
    immutability,
    labels,
    logs,
    members,
    metadata,
    permissions,
    projects,
    quotas,
    robots,
)
from projects.views import members as member_pages
from projects.views import projects as pages
from projects.views import robots as robot_pages

urlpatterns: list[URLPattern] = [
    path("projects", projects.ProjectList.as_view()),
    path("projects/<str:project>", projects.ProjectDetail.as_view()),
    path("projects/<str:project>/_deletable", projects.ProjectDeletable.as_view()),
    path("projects/<str:project>/summary", projects.ProjectSummary.as_view()),
    path("projects/<str:project>/explain", explain.Explain.as_view()),
    path("projects/<str:project>/metadatas", metadata.MetadataList.as_view()),
    path("projects/<str:project>/metadatas/", metadata.MetadataSlash.as_view()),
    path("projects/<str:project>/metadatas/<str:name>", metadata.MetadataDetail.as_view()),
    path("projects/<str:project>/members", members.MemberList.as_view()),
    path("projects/<str:project>/members/<id:member_id>", members.MemberDetail.as_view()),
    path("deletedprojects", deletions.DeletedProjectList.as_view()),
    path("deletedprojects/<id:project_id>", deletions.DeletedProjectDetail.as_view()),
    path("deletedprojects/<id:project_id>/restore", deletions.DeletedProjectRestore.as_view()),
    path("robots", robots.RobotList.as_view()),
    path("robots/<id:robot_id>", robots.RobotDetail.as_view()),
    path("labels", labels.LabelList.as_view()),
    path("labels/<id:label_id>", labels.LabelDetail.as_view()),
    path("users/current/permissions", current_permissions.CurrentPermissions.as_view()),
    path("permissions", permissions.Permissions.as_view()),
    path("audit-logs", logs.AuditLogs.as_view()),
    path("auditlog-exts", logs.AuditLogExts.as_view()),
    path("projects/<str:project>/logs", logs.ProjectLogs.as_view()),
    path("projects/<str:project>/auditlog-exts", logs.ProjectLogExts.as_view()),
    path("projects/<str:project>/immutabletagrules", immutability.RuleList.as_view()),
    path("projects/<str:project>/immutabletagrules/<id:rule_id>", immutability.RuleDetail.as_view()),
    path("quotas", quotas.QuotaList.as_view()),
    path("quotas/", quotas.QuotaList.as_view()),
    path("quotas/<id:quota_id>", quotas.QuotaDetail.as_view()),
]

page_urlpatterns: list[URLPattern] = [
    path("", pages.Start.as_view()),
    path("projects", pages.Projects.as_view()),
    path("projects/new", pages.NewProject.as_view()),
    path("projects/<str:project>/-/members", member_pages.Members.as_view()),
    path("projects/<str:project>/-/members/<id:member_id>/role", member_pages.MemberRole.as_view()),
    path("projects/<str:project>/-/members/<id:member_id>/remove", member_pages.MemberRemove.as_view()),
    path("projects/<str:project>/-/robots", robot_pages.Robots.as_view()),
    path("projects/<str:project>/-/robots/new", robot_pages.NewRobot.as_view()),
    path("projects/<str:project>/-/robots/<id:robot_id>/secret", robot_pages.RobotSecret.as_view()),
    path("projects/<str:project>/-/robots/<id:robot_id>/switch", robot_pages.RobotSwitch.as_view()),
    path("projects/<str:project>/-/robots/<id:robot_id>/delete", robot_pages.RobotDelete.as_view()),
]

"""The audit trail of a project, and of all projects whose trail one may read."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from harborlite.rest.openapi import operation
from harborlite.rest.views import SIGNED_IN
from projects import rbac
from projects.api.base import ProjectView
from system import queries
from system.api.audit import CSV, AuditLogExtOut, AuditLogOut, EventsQuery, EventsView

_ALL = "audit-log:list"
_ONE = "log:list"


class AuditLogs(EventsView):
    needs = {"GET": SIGNED_IN}
    form: type[AuditLogOut] = AuditLogOut

    @operation(gives=AuditLogOut, many=True, listing=queries.EVENTS, query=EventsQuery, also=CSV)
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """What happened: to administrators everywhere, to others in the projects whose audit trail they may read

        In Harbor's old form. With format=csv, or Accept: text/csv, all of it.
        """
        sees_all = _ALL in rbac.system_actions(self.actor)
        projects = None if sees_all else rbac.projects_allowing(self.actor, _ONE)
        return self.answer(request, queries.events(projects=projects), self.form)


class AuditLogExts(AuditLogs):
    form = AuditLogExtOut

    @operation(gives=AuditLogExtOut, many=True, listing=queries.EVENTS, query=EventsQuery, also=CSV)
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """What happened: to administrators everywhere, to others in the projects whose audit trail they may read

        With format=csv, or Accept: text/csv, all of it.
        """
        return super().get(request)


class ProjectLogs(EventsView, ProjectView):
    needs = {"GET": _ONE}
    form: type[AuditLogOut] = AuditLogOut

    @property
    def is_name_given(self) -> bool:
        """Harbor's: these paths have no id."""
        return True

    @operation(gives=AuditLogOut, many=True, listing=queries.EVENTS, query=EventsQuery, also=CSV)
    def get(self, request: HttpRequest, project: str) -> HttpResponseBase:
        """What happened in a project, in Harbor's old form

        With format=csv, or Accept: text/csv, all of it.
        """
        return self.answer(request, queries.events_of(self.project.pk), self.form)


class ProjectLogExts(ProjectLogs):
    form = AuditLogExtOut

    @operation(gives=AuditLogExtOut, many=True, listing=queries.EVENTS, query=EventsQuery, also=CSV)
    def get(self, request: HttpRequest, project: str) -> HttpResponseBase:
        """What happened in a project

        With format=csv, or Accept: text/csv, all of it.
        """
        return super().get(request, project)

"""The base of every page inside a project, and what its pages call roles."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from harborlite.console.pages import PageView
from projects import rbac
from projects.models import Project
from projects.queries import project_for
from projects.roles import Role

ROLES = {
    Role.ADMIN: gettext_lazy("Project admin"),
    Role.MAINTAINER: gettext_lazy("Maintainer"),
    Role.DEVELOPER: gettext_lazy("Developer"),
    Role.GUEST: gettext_lazy("Guest"),
    Role.LIMITED_GUEST: gettext_lazy("Limited guest"),
}
TABS = (
    ("repositories", "", gettext_lazy("Repositories"), "repository:list"),
    ("members", "/-/members", gettext_lazy("Members"), "member:list"),
    ("robots", "/-/robots", gettext_lazy("Robots"), "robot:list"),
)
"""Name, path behind the project's, title, and what one must be allowed to do to see it."""


class ProjectPage(PageView):
    """A page inside the project that the path names. `needs` are actions in it, as in ProjectView."""

    section = "projects"
    tab: ClassVar[str] = ""
    project: Project

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self._ref = kwargs["project"]
        super().initial(request, *args, **kwargs)

    def authorize(self, need: str | None) -> None:
        assert need is not None, "every page inside a project needs an action"  # noqa: S101 - a programming error
        self.project = project_for(self.actor, self._ref, need, is_name_given=True)
        self.granted = rbac.actions(self.actor, self.project)

    def inside(
        self, template: str, context: Mapping[str, Any] | None = None, *, status: int = HTTPStatus.OK
    ) -> HttpResponse:
        """A page with the project's head: its name and those of its tabs that the visitor may see."""
        root = f"/projects/{self.project.name}"
        tabs = [(name, f"{root}{path}", title) for name, path, title, action in TABS if action in self.granted]
        frame = {"project": self.project, "tab": self.tab, "tabs": tabs, "granted": self.granted}
        return self.page(template, {**frame, **(context or {})}, status=status)

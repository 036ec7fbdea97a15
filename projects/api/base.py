"""The base of every view inside a project."""

from typing import Any

from rest_framework.request import Request

from harborlite.rest.views import RestView
from projects.models import Project
from projects.queries import project_for


class ProjectView(RestView):
    """A resource of the project that the path names by `project`, its id or its name.

    `needs` are actions in the project ("label:create"). Who may do nothing in it gets the answer for no project,
    NotFound; who has not signed in gets Unauthorized for whatever is not allowed to everybody.
    """

    project: Project

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self._ref = kwargs["project"]
        super().initial(request, *args, **kwargs)

    def authorize(self, need: str | None) -> None:
        assert need is not None, "every method inside a project needs an action"  # noqa: S101 - a programming error
        self.project = project_for(self.actor, self._ref, need, is_name_given=self.is_name_given)

"""Pages of projects: the list, and a new one."""

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from harborlite.console.pages import PageView
from harborlite.console.tables import Column, Table
from harborlite.errors import BadRequest, Conflict, Denied
from harborlite.rest.listing import Field, Listing
from harborlite.rest.listing import Flag as FlagKind
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.views import SIGNED_IN
from projects import queries, rbac
from projects.names import MAX_LENGTH
from projects.services import projects as services
from projects.views.pages import ROLES

LISTING = Listing(
    {
        "name": Field("name"),
        "public": Field("is_public", FlagKind),
        "created": Field("created_at", MomentKind),
    },
    default="name",
)
COLUMNS = (
    Column(gettext_lazy("Project"), "name"),
    Column(gettext_lazy("Access"), "public"),
    Column(gettext_lazy("Your role")),
    Column(gettext_lazy("Repositories"), is_number=True),
    Column(gettext_lazy("Created"), "created"),
)


class Start(PageView):
    needs = {"GET": None}

    def get(self, request: Request) -> HttpResponse:
        return self.see_other("/projects")


class Projects(PageView):
    needs = {"GET": None}
    section = "projects"

    def get(self, request: Request) -> HttpResponse:
        table = Table(request._request, queries.projects_for(self.actor), LISTING, COLUMNS)
        roles = queries.roles_of(self.actor, list(table.rows))
        for project in table.rows:
            project.role_name = ROLES[held[0]] if (held := roles.get(project.pk)) else ""
        return self.page("projects/list.html", {"table": table, "may_create": rbac.may_create_projects(self.actor)})


class NewProject(PageView):
    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}
    section = "projects"

    def authorize(self, need: str | None) -> None:
        super().authorize(need)
        if not rbac.may_create_projects(self.actor):
            raise Denied(_("only administrators of the system may create projects"))

    def get(self, request: Request) -> HttpResponse:
        return self._form()

    def post(self, request: Request) -> HttpResponse:
        name, is_public = self.form().get("name", "").strip(), self.form().get("public") == "true"
        try:
            services.project_create(name=name, owner=self.actor, is_public=is_public)
        except Conflict:
            return self._form(_("There is a project of this name already; choose another."), name, is_public=is_public)
        except BadRequest:
            return self._form(_("This can't be the name of a project."), name, is_public=is_public)
        return self.see_other(f"/projects/{name}", _("The project was created."))

    def _form(self, problem: str = "", name: str = "", *, is_public: bool = False) -> HttpResponse:
        rule = _("Lower case letters and digits, joined by single dots, underscores or hyphens; at most %(most)d.")
        shown = {"problem": problem, "name": name, "is_public": is_public, "rule": rule % {"most": MAX_LENGTH}}
        return self.page("projects/new.html", shown, status=400 if problem else 200)

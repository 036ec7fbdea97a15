"""Pages of a project's members: who has which role, one more, another role, one less."""

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from harborlite.console.tables import Column, Table
from harborlite.errors import Conflict, NotFound, Precondition
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from projects import queries
from projects.models import Member
from projects.roles import HIGHEST_FIRST, Role
from projects.services import members as services
from projects.views.pages import ROLES, ProjectPage

LISTING = Listing(
    {
        "name": Field("entity_name"),
        "role": Field("role", Number),
        "since": Field("created_at", MomentKind),
    },
    default="name",
)
COLUMNS = (
    Column(gettext_lazy("Name"), "name"),
    Column(gettext_lazy("Kind")),
    Column(gettext_lazy("Role")),
    Column(gettext_lazy("Member since"), "since"),
    Column(""),
)
CHOICES = [(role.value, ROLES[role]) for role in HIGHEST_FIRST]


class Members(ProjectPage):
    needs = {"GET": "member:list", "POST": "member:create"}
    tab = "members"

    def get(self, request: Request, project: str) -> HttpResponse:
        return self._table()

    def post(self, request: Request, project: str) -> HttpResponse:
        form = self.form()
        name, is_group = form.get("name", "").strip(), form.get("kind") == "group"
        try:
            subject = queries.subject_of({} if is_group else {"username": name}, {"group_name": name})
            services.member_add(project=self.project, subject=subject, role=self.number("role"))
        except NotFound:
            return self._table(_("There is nobody called %(name)s.") % {"name": name}, name)
        except Conflict:
            return self._table(_("%(name)s is a member already.") % {"name": name}, name)
        return self.see_other(request.path, _("%(name)s is a member now.") % {"name": name})

    def _table(self, problem: str = "", name: str = "") -> HttpResponse:
        rows = queries.members_named(self.project)
        shown = {
            "table": Table(self.request._request, rows, LISTING, COLUMNS),
            "roles": CHOICES,
            "usual": Role.DEVELOPER.value,
            "problem": problem,
            "name": name,
        }
        return self.inside("projects/members.html", shown, status=400 if problem else 200)


class OneMember(ProjectPage):
    """A change of one member, which a form asks for and which comes back to the list."""

    tab = "members"

    @property
    def member(self) -> Member:
        return queries.member_get(self.project, self.kwargs["member_id"])

    def back(self, said: str) -> HttpResponse:
        return self.see_other(f"/projects/{self.project.name}/-/members", said)


class MemberRole(OneMember):
    needs = {"POST": "member:update"}

    def post(self, request: Request, project: str, member_id: int) -> HttpResponse:
        try:
            services.member_set_role(member=self.member, role=self.number("role"))
        except Precondition:
            raise Precondition(_("The owner stays an administrator of the project.")) from None
        return self.back(_("The role was changed."))


class MemberRemove(OneMember):
    needs = {"GET": "member:delete", "POST": "member:delete"}

    def get(self, request: Request, project: str, member_id: int) -> HttpResponse:
        return self.inside("projects/member_remove.html", {"member": self.member})

    def post(self, request: Request, project: str, member_id: int) -> HttpResponse:
        try:
            services.member_remove(member=self.member)
        except Precondition:
            raise Precondition(_("The owner stays an administrator of the project.")) from None
        return self.back(_("The member was removed."))

"""Pages of a project's robots: the list, a new one with its secret, another secret, on and off, and away."""

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from harborlite.console.tables import Column, Table
from harborlite.errors import BadRequest, Conflict, Denied, NotFound
from harborlite.http import external_url
from harborlite.rest.listing import Field, Listing, Number
from harborlite.rest.listing import Moment as MomentKind
from projects import permissions, queries
from projects.models import Robot
from projects.permissions import Permission
from projects.roles import ROBOT_PROJECT_ACTIONS
from projects.services import robots as services
from projects.views.pages import ProjectPage
from system import config

LISTING = Listing(
    {"name": Field("name"), "days": Field("duration", Number), "created": Field("created_at", MomentKind)},
    default="name",
)
COLUMNS = (
    Column(gettext_lazy("Robot"), "name"),
    Column(gettext_lazy("May")),
    Column(gettext_lazy("Expires")),
    Column(gettext_lazy("Last used")),
    Column(gettext_lazy("Created"), "created"),
    Column(""),
)
_PULL = frozenset(
    {"repository:pull", "repository:list", "repository:read", "artifact:read", "artifact:list", "tag:list"}
)
_PUSH = _PULL | {"repository:push", "tag:create", "artifact:create"}
_DELETE = _PUSH | {"repository:delete", "artifact:delete", "tag:delete"}
PRESETS = {
    "pull": (gettext_lazy("Pull"), _PULL),
    "push": (gettext_lazy("Pull and push"), _PUSH),
    "delete": (gettext_lazy("Pull, push and delete"), _DELETE),
    "all": (gettext_lazy("Everything that a robot can do in a project"), ROBOT_PROJECT_ACTIONS),
}
DAYS = (30, 90, 365, services.FOR_EVER)


class Robots(ProjectPage):
    needs = {"GET": "robot:list"}
    tab = "robots"

    def get(self, request: Request, project: str) -> HttpResponse:
        table = Table(request._request, queries.robots_of(self.project), LISTING, COLUMNS)
        for robot in table.rows:
            robot.may = _may(robot)
            token = next(iter(robot.user.tokens.all()), None)
            robot.expires_at, robot.used_at = (token.expires_at, token.last_used_at) if token else (None, None)
        new_path = f"{request.path}/new" if "robot:create" in self.granted else ""
        return self.inside("projects/robots.html", {"table": table, "new_path": new_path})


class NewRobot(ProjectPage):
    needs = {"GET": "robot:create", "POST": "robot:create"}
    tab = "robots"

    def get(self, request: Request, project: str) -> HttpResponse:
        return self._form()

    def post(self, request: Request, project: str) -> HttpResponse:
        form = self.form()
        preset, days = form.get("preset", ""), form.get("days", "")
        if preset not in PRESETS or days not in map(str, DAYS):
            raise BadRequest(_("what it may do and how long it lasts are to be chosen from the lists"))
        carried = Permission(permissions.PROJECT, self.project.name, PRESETS[preset][1])
        try:
            robot, secret = services.robot_create(
                creator=self.actor,
                name=form.get("name", "").strip(),
                project=self.project,
                permissions=[carried],
                duration=int(days),
                description=form.get("description", ""),
            )
        except Conflict:
            return self._form(_("There is a robot of this name already; choose another."))
        except Denied:
            return self._form(_("A robot can't be given more than you may do yourself."))
        except BadRequest as error:
            return self._form(error.message)
        return shown_once(self, robot, secret)

    def _form(self, problem: str = "") -> HttpResponse:
        form = self.form()
        chosen = {name: form.get(name, usual) for name, usual in USUAL.items()}
        offered = [(name, title) for name, (title, actions) in PRESETS.items() if actions <= self.granted]
        login = f"{config.get('robot_name_prefix')}{self.project.name}+"
        shown = {"login": login, "problem": problem, "presets": offered, "days": DAYS, "chosen": chosen}
        return self.inside("projects/robot_new.html", shown, status=400 if problem else 200)


USUAL = {"name": "", "description": "", "preset": "pull", "days": "90"}


class OneRobot(ProjectPage):
    """A change of one robot."""

    tab = "robots"

    @property
    def robot(self) -> Robot:
        robot = queries.robot_for(self.actor, self.kwargs["robot_id"], self.needs[str(self.request.method)] or "")
        if robot.project_id != self.project.pk:
            raise NotFound("there is no such robot")
        return robot

    def back(self, said: str) -> HttpResponse:
        return self.see_other(f"/projects/{self.project.name}/-/robots", said)


class RobotSecret(OneRobot):
    needs = {"POST": "robot:update"}

    def post(self, request: Request, project: str, robot_id: int) -> HttpResponse:
        robot = self.robot
        return shown_once(self, robot, services.robot_refresh_secret(robot=robot))


class RobotSwitch(OneRobot):
    needs = {"POST": "robot:update"}

    def post(self, request: Request, project: str, robot_id: int) -> HttpResponse:
        is_enabled = self.form().get("enabled") == "true"
        services.robot_set_enabled(robot=self.robot, is_enabled=is_enabled)
        return self.back(_("The robot can sign in again.") if is_enabled else _("The robot can't sign in any more."))


class RobotDelete(OneRobot):
    needs = {"GET": "robot:delete", "POST": "robot:delete"}

    def get(self, request: Request, project: str, robot_id: int) -> HttpResponse:
        return self.inside("projects/robot_delete.html", {"robot": self.robot})

    def post(self, request: Request, project: str, robot_id: int) -> HttpResponse:
        services.robot_delete(robot=self.robot)
        return self.back(_("The robot was deleted."))


def shown_once(page: ProjectPage, robot: Robot, secret: str) -> HttpResponse:
    """The page with the robot's new secret, which no other page has."""
    host, login = external_url(page.request._request).partition("://")[2], robot.user.login
    lines: dict[str, Any] = {
        "docker": f"echo '{secret}' | docker login {host} --username '{login}' --password-stdin",
        "podman": f"echo '{secret}' | podman login {host} --username '{login}' --password-stdin",
        "Kubernetes": f"kubectl create secret docker-registry {robot.name} --docker-server={host} "
        f"--docker-username='{login}' --docker-password='{secret}'",
    }
    return page.inside("projects/robot_secret.html", {"robot": robot, "secret": secret, "lines": lines.items()})


def _may(robot: Robot) -> str:
    """What it carries, in the words of the preset, else as a number of actions."""
    carried = frozenset().union(*(permission.actions for permission in queries.permissions_of(robot)))
    for title, actions in PRESETS.values():
        if actions == carried:
            return str(title)
    return _("%(count)d actions") % {"count": len(carried)}

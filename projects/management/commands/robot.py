"""`harborlite robot`: accounts for programs."""

from typing import Any

from django.core.management.base import CommandError

from accounts.commands import AddVerb, NounCommand
from harborlite.actors import OPERATOR
from projects import permissions
from projects.models import Project, Robot
from projects.permissions import Permission
from projects.queries import permissions_of, project_get, robot_get, robots_of
from projects.services import robots as services

SHORTHANDS = {
    "pull": ("repository:pull",),
    "push": ("repository:pull", "repository:push"),
    "delete": ("artifact:delete", "tag:delete"),
}


class Command(NounCommand):
    help = "Robots: create, list, refresh a secret, disable, enable, delete."

    def add_verbs(self, add: AddVerb) -> None:
        create = add("create", self.create, "Create a robot and print its name and its secret, this once.")
        for verb, actions in SHORTHANDS.items():
            create.add_argument(f"--{verb}", action="store_true", help=f"may {verb}: {', '.join(actions)}")
        create.add_argument(
            "--permission", action="append", default=[], metavar="RESOURCE:ACTION", help="may do this; more than once"
        )
        create.add_argument("--days", type=int, default=services.FOR_EVER, help="days until it expires; else never")
        create.add_argument("--description", default="")
        listing = add("list", self.list, "List robots.")
        refresh = add("refresh", self.refresh, "Give a robot a new secret and print it, this once.")
        disable = add("disable", self.disable, "Stop a robot from signing in.")
        enable = add("enable", self.enable, "Let a disabled robot sign in again.")
        delete = add("delete", self.delete, "Delete a robot.")
        for parser in (create, listing, refresh, disable, enable, delete):
            parser.add_argument("project", nargs="?", help="whose robot it is")
            parser.add_argument("--system", action="store_true", help="a robot of the system, for every project")
        for parser in (create, refresh, disable, enable, delete):
            parser.add_argument("name")

    def create(
        self,
        name: str,
        permission: list[str],
        days: int,
        description: str,
        **options: Any,
    ) -> None:
        project = _project(options)
        actions = {action for verb, carried in SHORTHANDS.items() if options[verb] for action in carried}
        if not actions | set(permission):
            raise CommandError("say what the robot may do: --pull, --push, --delete or --permission")
        namespace = project.name if project else permissions.EVERY_PROJECT
        robot, secret = services.robot_create(
            creator=OPERATOR,
            name=name,
            project=project,
            permissions=[Permission(permissions.PROJECT, namespace, frozenset(actions | set(permission)))],
            duration=days,
            description=description,
        )
        self.say(f"{robot.user.login} {secret}")

    def list(self, **options: Any) -> None:
        self.show(
            ("name", "state", "expires", "permissions"),
            (
                (
                    robot.user.login,
                    "active" if robot.user.is_active else "disabled",
                    _expiry(robot),
                    "; ".join(f"{p.namespace} {','.join(sorted(p.actions))}" for p in permissions_of(robot)),
                )
                for robot in robots_of(_project(options))
            ),
        )

    def refresh(self, **options: Any) -> None:
        robot = _robot(options)
        self.say(f"{robot.user.login} {services.robot_refresh_secret(robot=robot)}")

    def disable(self, **options: Any) -> None:
        robot = _robot(options)
        services.robot_set_enabled(robot=robot, is_enabled=False)
        self.say(f"disabled {robot}")

    def enable(self, **options: Any) -> None:
        robot = _robot(options)
        services.robot_set_enabled(robot=robot, is_enabled=True)
        self.say(f"enabled {robot}")

    def delete(self, **options: Any) -> None:
        robot = _robot(options)
        services.robot_delete(robot=robot)
        self.say(f"deleted {robot}")


def _project(options: dict[str, Any]) -> Project | None:
    """The project a command names; None with --system."""
    if bool(options["project"]) == options["system"]:
        raise CommandError("name a project or say --system")
    return None if options["system"] else project_get(options["project"], is_name_given=True)


def _robot(options: dict[str, Any]) -> Robot:
    return robot_get(_project(options), options["name"])


def _expiry(robot: Robot) -> str:
    ends = [token.expires_at for token in robot.user.tokens.all()]
    return f"{ends[0]:%Y-%m-%d %H:%M}" if ends and ends[0] else "never"

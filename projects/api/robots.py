"""REST: robots of projects and of the system; a secret is shown when it is made, and never again."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from accounts.models import User
from harborlite.errors import BadRequest
from harborlite.rest.fields import Flag, Line, Moment, Secret
from harborlite.rest.fields import Text as TextField
from harborlite.rest.listing import Field, Listing, Number, Rows, Text, where
from harborlite.rest.listing import Flag as FlagKind
from harborlite.rest.listing import Moment as MomentKind
from harborlite.rest.openapi import operation
from harborlite.rest.q import Condition, parse_q
from harborlite.rest.views import SIGNED_IN, RestView
from projects import permissions, queries
from projects.models import Project, Robot
from projects.services import robots as services
from system import config

LEVELS = ("project", "system")


def _listed_already(rows: Rows, _condition: Condition) -> Rows:
    """Level and ProjectID say whose robots are listed; the view has read them."""
    return rows


def _called(rows: Rows, condition: Condition) -> Rows:
    """Robots by name, be it their own or the full one they sign in with."""
    prefix = config.get("robot_name_prefix")
    names = tuple(value.removeprefix(prefix).rpartition("+")[2] for value in condition.values)
    return rows.filter(where(Field("name"), replace(condition, values=names)))


def _disabled(rows: Rows, condition: Condition) -> Rows:
    return rows.exclude(where(Field("user__is_active", FlagKind), condition))


LISTING = Listing(
    {
        "name": Field("name", Text, apply=_called),
        "description": Field("description", Text),
        "id": Field("pk", Number),
        "duration": Field("duration", Number),
        "disable": Field("user__is_active", FlagKind, is_sortable=False, apply=_disabled),
        "creation_time": Field("created_at", MomentKind),
        "update_time": Field("updated_at", MomentKind),
        "Level": Field("project", is_sortable=False, apply=_listed_already),
        "ProjectID": Field("project", is_sortable=False, apply=_listed_already),
    },
    default="name",
)


class AccessItem(serializers.Serializer[Any]):
    resource = Line()
    action = Line()
    effect = Line(required=False, allow_blank=True)


class PermissionItem(serializers.Serializer[Any]):
    kind = Line(help_text="project or system.")
    namespace = Line(help_text="The project's name, * for every project, / for the system.")
    access = AccessItem(many=True)


class RobotIn(serializers.Serializer[Any]):
    name = Line()
    description = TextField(required=False, allow_blank=True, default="")
    level = serializers.ChoiceField(LEVELS)
    duration = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="Days; -1 for ever. Without it, what is configured, or what it was.",
    )
    disable = Flag(required=False, default=False)
    permissions = PermissionItem(many=True, allow_empty=False)


class RobotOut(serializers.Serializer[Robot]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField(source="user.login")
    description = serializers.CharField()
    level = serializers.CharField()
    duration = serializers.IntegerField()
    editable = serializers.BooleanField(default=True)
    disable = serializers.SerializerMethodField()
    expires_at = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()
    creator_type = serializers.SerializerMethodField()
    creator_ref = serializers.SerializerMethodField()
    creation_time = Moment(source="created_at")
    update_time = Moment(source="updated_at")

    def get_disable(self, robot: Robot) -> bool:
        return not robot.user.is_active

    def get_expires_at(self, robot: Robot) -> int:
        """Seconds since 1970; -1 for never."""
        return expires_at(robot)

    @extend_schema_field(PermissionItem(many=True))
    def get_permissions(self, robot: Robot) -> Any:
        return permissions.render(queries.permissions_of(robot))

    def get_creator_type(self, robot: Robot) -> str:
        """local for a user, robot for a robot."""
        return "robot" if robot.creator and robot.creator.kind == User.Kind.ROBOT else "local"

    def get_creator_ref(self, robot: Robot) -> int:
        """The id of the user or robot; 0 when it is gone."""
        if robot.creator and robot.creator.kind == User.Kind.ROBOT:
            return int(robot.creator.robot.pk)
        return robot.creator_id or 0


class RobotCreatedOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    secret = serializers.CharField()
    creation_time = Moment()
    expires_at = serializers.IntegerField()


class SecretIn(serializers.Serializer[Any]):
    secret = Secret(required=False, allow_null=True, allow_blank=True, help_text="Without it, one is made.")


class SecretOut(serializers.Serializer[Any]):
    secret = serializers.CharField(required=False)


class RobotList(RestView):
    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @operation(gives=RobotOut, many=True, listing=LISTING)
    def get(self, request: Request) -> HttpResponse:
        """The robots of the system, or with q=Level=project,ProjectID=7 of a project"""
        asked = {condition.key: condition for condition in parse_q(request.GET.get("q", ""))}
        level = asked["Level"].values[0] if "Level" in asked else "system"
        if level not in LEVELS or any(asked[key].match != "exact" for key in ("Level", "ProjectID") if key in asked):
            raise BadRequest(f"q: Level is one of {', '.join(LEVELS)}, and ProjectID a number")
        project = self._project(asked.get("ProjectID")) if level == "project" else None
        if project is None:
            self.authorize("robot:list")
        return self.listed(queries.robots_of(project), LISTING, RobotOut)

    def _project(self, condition: Condition | None) -> Project:
        text = condition.values[0] if condition else ""
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise BadRequest("q: ProjectID must be a positive number when robots of a project are asked for")
        return queries.project_for(self.actor, int(text), "robot:list")

    @operation(takes=RobotIn, gives=RobotCreatedOut, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create a robot; its secret is in the answer, this once"""
        given = self.body(RobotIn)
        carried = permissions.parse(given["permissions"])
        project = None
        if given["level"] == "project":
            namespace = carried[0].namespace
            if carried[0].kind != permissions.PROJECT or namespace == permissions.EVERY_PROJECT or len(carried) > 1:
                raise BadRequest("permissions: a project's robot has one permission: for this project")
            project = queries.project_for(self.actor, namespace, "robot:create", is_name_given=True)
        else:
            self.authorize("robot:create")
        robot, secret = services.robot_create(
            creator=self.actor,
            name=given["name"],
            project=project,
            permissions=carried,
            duration=config.get("robot_token_duration") if given.get("duration") is None else given["duration"],
            description=given["description"],
            is_enabled=not given["disable"],
        )
        told = {"id": robot.pk, "name": robot.user.login, "secret": secret, "creation_time": robot.created_at}
        body = RobotCreatedOut({**told, "expires_at": expires_at(robot)}).data
        return self.created(f"/api/v2.0/robots/{robot.pk}", body=body)


class RobotDetail(RestView):
    needs = {"GET": SIGNED_IN, "PUT": SIGNED_IN, "PATCH": SIGNED_IN, "DELETE": SIGNED_IN}

    @operation(gives=RobotOut)
    def get(self, request: Request, robot_id: int) -> HttpResponse:
        """A robot, without its secret"""
        return self.shown(RobotOut(queries.robot_for(self.actor, robot_id, "robot:read")))

    @operation(takes=RobotIn)
    def put(self, request: Request, robot_id: int) -> HttpResponse:
        """Change what a robot may do, how long it lasts, and whether it can sign in"""
        robot = queries.robot_for(self.actor, robot_id, "robot:update")
        given = self.body(RobotIn)
        if given["level"] != robot.level or given["name"] not in (robot.user.login, robot.name):
            raise BadRequest("name and level: they can't change")
        services.robot_update(
            editor=self.actor,
            robot=robot,
            permissions=permissions.parse(given["permissions"]),
            duration=robot.duration if given.get("duration") is None else given["duration"],
            description=given["description"],
            is_enabled=not given["disable"],
        )
        return self.done()

    @operation(takes=SecretIn, gives=SecretOut)
    def patch(self, request: Request, robot_id: int) -> HttpResponse:
        """Give a robot another secret: the one that is sent, or a new one, which is in the answer, this once"""
        robot = queries.robot_for(self.actor, robot_id, "robot:update")
        chosen = self.body(SecretIn).get("secret")
        secret = services.robot_refresh_secret(robot=robot, secret=chosen or None)
        return self.shown(SecretOut({} if chosen else {"secret": secret}))

    @operation()
    def delete(self, request: Request, robot_id: int) -> HttpResponse:
        """Delete a robot"""
        services.robot_delete(robot=queries.robot_for(self.actor, robot_id, "robot:delete"))
        return self.done()


def expires_at(robot: Robot) -> int:
    """When the robot's secret ends, in seconds since 1970; -1 for never."""
    ends = [token.expires_at for token in robot.user.tokens.all()]
    return int(ends[0].timestamp()) if ends and ends[0] else -1

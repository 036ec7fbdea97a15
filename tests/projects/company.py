"""A small company for the tests of projects: two projects and everybody who may meet them."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from accounts import services as accounts
from accounts.authentication import actor_of
from accounts.models import AccessToken, User
from harborlite.actors import ANONYMOUS, OPERATOR, Actor
from projects.models import Project, Robot
from projects.permissions import EVERY_PROJECT, PROJECT, Permission
from projects.roles import Role
from projects.services.members import member_add
from projects.services.projects import project_create
from projects.services.robots import robot_create, robot_set_enabled


def person(name: str, *, is_admin: bool = False) -> User:
    """Somebody who signs in by tokens only: hashing a password takes time."""
    return accounts.user_create(username=name, password=None, is_admin=is_admin)


def robot(project: Project | None, name: str, *actions: str, namespace: str | None = None, days: int = -1) -> Robot:
    scope = namespace or (project.name if project else EVERY_PROJECT)
    made, _secret = robot_create(
        creator=OPERATOR,
        name=name,
        project=project,
        permissions=[Permission(PROJECT, scope, frozenset(actions))],
        duration=days,
    )
    return made


@dataclass
class Company:
    private: Project
    public: Project
    actors: dict[str, Actor] = field(default_factory=dict)


def build() -> Company:
    """The company, in the test's database."""
    boss = person("boss", is_admin=True)
    made = Company(
        private=project_create(name="private", owner=boss),
        public=project_create(name="public", is_public=True, owner=boss),
    )
    actors = made.actors
    actors["anonymous"] = ANONYMOUS
    actors["administrator"] = actor_of(boss)
    actors["stranger"] = actor_of(person("stranger"))
    for role in Role:
        name = role.name.lower()
        user = person(name)
        member_add(project=made.private, subject=user, role=role)
        actors[name] = actor_of(user)
        group = accounts.group_create(name=f"{name}s", kind=3)
        member_add(project=made.private, subject=group, role=role)
        user = person(f"{name}_by_group")
        accounts.group_add_user(group=group, user=user)
        actors[f"{name}_by_group"] = actor_of(user)
    off = person("off")
    member_add(project=made.private, subject=off, role=Role.ADMIN)
    actors["disabled"] = actor_of(off)
    accounts.user_disable(user=off)
    _add_robots(made)
    return made


def _add_robots(made: Company) -> None:
    robots = {
        "robot_of_private": robot(made.private, "ci", "repository:push", "tag:list"),
        "robot_of_public": robot(made.public, "ci", "repository:push"),
        "system_robot_for_private": robot(None, "one", "repository:push", namespace="private"),
        "system_robot_for_all": robot(None, "all", "repository:pull", "artifact:delete"),
        "disabled_robot": robot(made.private, "off", "repository:push"),
        "expired_robot": robot(made.private, "old", "repository:push", days=1),
        "expired_system_robot": robot(None, "old", "repository:push", days=1),
    }
    robot_set_enabled(robot=robots["disabled_robot"], is_enabled=False)
    past = timezone.now() - timedelta(seconds=1)
    expired = [robots[name].user_id for name in ("expired_robot", "expired_system_robot")]
    AccessToken.objects.filter(user__in=expired).update(expires_at=past)
    made.actors |= {name: actor_of(made_robot.user) for name, made_robot in robots.items()}

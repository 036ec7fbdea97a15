"""projects.rbac: the table actor x project x action, what is visible, and what it costs."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission as DjangoPermission
from guardian.shortcuts import get_perms

from accounts import services as accounts
from accounts.authentication import actor_of
from harborlite.actors import ANONYMOUS, OPERATOR, Actor
from projects import rbac
from projects.models import Member, Project, ProjectGroupObjectPermission, ProjectUserObjectPermission, RobotPermission
from projects.permissions import Permission
from projects.roles import ACTIONS, ADMINISTRATOR_ACTIONS, PROJECT_ACTIONS, PUBLIC, SYSTEM_ACTIONS, Role
from projects.services.members import member_add, member_remove, member_set_role
from projects.services.projects import project_create, project_delete, project_update
from projects.services.robots import robot_create, robot_delete, robot_set_enabled
from tests.projects.company import Company, person, robot

NOTHING: frozenset[str] = frozenset()
PUSHER = frozenset({"repository:push", "repository:pull", "tag:list"})
CLEANER = frozenset({"repository:pull", "artifact:delete"})

TABLE: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # actor: in the private project, in the public one besides what everybody may there
    "anonymous": (NOTHING, NOTHING),
    "administrator": (PROJECT_ACTIONS, PROJECT_ACTIONS),
    "stranger": (NOTHING, NOTHING),
    **{role.name.lower(): (ACTIONS[role], NOTHING) for role in Role},
    **{f"{role.name.lower()}_by_group": (ACTIONS[role], NOTHING) for role in Role},
    "disabled": (NOTHING, NOTHING),
    "robot_of_private": (PUSHER, NOTHING),
    "robot_of_public": (NOTHING, frozenset({"repository:push", "repository:pull"})),
    "system_robot_for_private": (frozenset({"repository:push"}), NOTHING),
    "system_robot_for_all": (CLEANER, CLEANER),
    "disabled_robot": (NOTHING, NOTHING),
    "expired_robot": (NOTHING, NOTHING),
    "expired_system_robot": (NOTHING, NOTHING),
}


def test_everybody_has_what_the_table_says(company: Company) -> None:
    assert company.actors.keys() == TABLE.keys()
    for name, (in_private, in_public) in TABLE.items():
        actor = company.actors[name]
        assert (name, rbac.actions(actor, company.private)) == (name, in_private)
        assert (name, rbac.actions(actor, company.public)) == (name, in_public | PUBLIC)
        for action in (
            "repository:pull",
            "repository:push",
            "member:create",
            "repository:fly",
            "",
            "*",
            "repository:*",
        ):
            assert rbac.allowed(actor, company.private, action) == (action in in_private), (name, action)


def test_names_are_resolved_to_the_same_actions(company: Company) -> None:
    for name, actor in company.actors.items():
        found = rbac.actions_by_name(actor, ["private", "public", "missing", "Private", "nul\x00", ""])
        assert (name, found) == (
            name,
            {
                "private": (company.private, rbac.actions(actor, company.private)),
                "public": (company.public, rbac.actions(actor, company.public)),
            },
        )


def test_visible_is_where_one_may_do_anything(company: Company) -> None:
    for name, actor in company.actors.items():
        expected = {project for project in Project.objects.all() if rbac.actions(actor, project)}
        assert (name, set(rbac.visible_projects(actor))) == (name, expected)


SAMPLE = ("repository:pull", "repository:push", "artifact:delete", "tag:list", "label:list", "member:create")


def test_projects_are_found_by_action(company: Company) -> None:
    watcher = actor_of(robot(company.private, "watcher", "label:list").user)
    for name, actor in {**company.actors, "watcher": watcher}.items():
        held = {project: rbac.actions(actor, project) for project in (company.private, company.public)}
        for action in (*SAMPLE, "repository:fly", "*", ""):
            expected = {project for project, actions in held.items() if action in actions}
            assert (name, action, set(rbac.projects_allowing(actor, action))) == (name, action, expected)
    assert company.private in rbac.visible_projects(watcher)
    assert company.private not in rbac.projects_allowing(watcher, "repository:pull")


def test_a_private_project_is_seen_by_its_own_only(company: Company) -> None:
    seen_by = {name for name, actor in company.actors.items() if company.private in rbac.visible_projects(actor)}
    assert seen_by == {name for name, (in_private, _public) in TABLE.items() if in_private}


def test_nobody_is_seen_twice(company: Company) -> None:
    user = person("double")
    for number in range(2):
        group = accounts.group_create(name=f"double{number}", kind=3)
        member_add(project=company.private, subject=group, role=Role.GUEST)
        accounts.group_add_user(group=group, user=user)
    member_add(project=company.private, subject=user, role=Role.GUEST)
    assert rbac.visible_projects(actor_of(user)).count() == 2


def test_roles_add_up(company: Company) -> None:
    user = person("both")
    member_add(project=company.private, subject=user, role=Role.GUEST)
    group = accounts.group_create(name="both", kind=3)
    member_add(project=company.private, subject=group, role=Role.MAINTAINER)
    accounts.group_add_user(group=group, user=user)
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.MAINTAINER]
    accounts.group_remove_user(group=group, user=user)
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.GUEST]


def test_a_deleted_group_takes_its_roles_with_it(company: Company) -> None:
    group = accounts.group_create(name="gone", kind=3)
    member_add(project=company.private, subject=group, role=Role.ADMIN)
    user = person("member")
    accounts.group_add_user(group=group, user=user)
    accounts.group_delete(group=group)
    assert rbac.actions(actor_of(user), company.private) == NOTHING
    assert not Member.objects.filter(group=group.pk).exists()


@pytest.mark.parametrize(
    "actor",
    [
        Actor(user_id=None, username="", kind="user", is_admin=False, version=0),
        Actor(user_id=None, username="", kind="robot", is_admin=False, version=0),
        Actor(user_id=-1, username="ghost", kind="user", is_admin=False, version=1),
        Actor(user_id=-1, username="ghost", kind="robot", is_admin=False, version=1),
    ],
)
def test_actors_that_are_nobody_may_what_anybody_may(company: Company, actor: Actor) -> None:
    assert rbac.actions(actor, company.private) == NOTHING
    assert rbac.actions(actor, company.public) == PUBLIC
    assert list(rbac.visible_projects(actor)) == [company.public]
    assert rbac.system_actions(actor) == rbac.actions_everywhere(actor) == NOTHING


def test_a_person_is_no_robot_and_a_robot_no_person(company: Company) -> None:
    """An actor of the wrong kind finds nothing under its id."""
    for name, kind in (("admin", "robot"), ("robot_of_private", "user")):
        actor = company.actors[name]
        wrong = Actor(actor.user_id, actor.username, kind, is_admin=False, version=1)  # type: ignore[arg-type]
        assert rbac.actions(wrong, company.private) == NOTHING


def test_a_permission_that_is_no_role_grants_nothing(company: Company) -> None:
    foreign = DjangoPermission.objects.create(
        codename="role_owner",
        name="unknown",
        content_type=DjangoPermission.objects.get(codename="role_admin").content_type,
    )
    ProjectUserObjectPermission.objects.create(
        user_id=company.actors["stranger"].user_id, permission=foreign, content_object=company.private
    )
    assert rbac.actions(company.actors["stranger"], company.private) == NOTHING
    assert company.private not in rbac.visible_projects(company.actors["stranger"])


def test_an_action_that_is_not_known_any_more_grants_nothing(company: Company) -> None:
    RobotPermission.objects.update(access=["repository:pull", "everything:do", "*:*"])
    assert rbac.actions(company.actors["robot_of_private"], company.private) == {"repository:pull"}
    RobotPermission.objects.update(kind="system", project=None, access=["catalog:read", "everything:do"])


# Roles are written twice and must agree.


def agree(project: Project) -> None:
    """Each Member's role is the one guardian permission of its subject, and there are no others."""
    members = Member.objects.filter(project=project)
    by_user = {(member.user_id, Role(member.role).codename) for member in members if member.user_id}
    by_group = {(member.group_id, Role(member.role).codename) for member in members if member.group_id}
    users = ProjectUserObjectPermission.objects.filter(content_object=project)
    groups = ProjectGroupObjectPermission.objects.filter(content_object=project)
    assert sorted(users.values_list("user", "permission__codename")) == sorted(by_user)
    assert sorted(groups.values_list("group", "permission__codename")) == sorted(by_group)


def test_members_and_guardians_permissions_agree(company: Company) -> None:
    user = person("new")
    member = member_add(project=company.public, subject=user, role=Role.GUEST)
    agree(company.public)
    member_set_role(member=member, role=Role.DEVELOPER)
    agree(company.public)
    member_set_role(member=member, role=Role.DEVELOPER)
    agree(company.public)
    assert get_perms(user, company.public) == ["role_developer"]
    member_remove(member=member)
    agree(company.public)
    assert get_perms(user, company.public) == []
    agree(company.private)


# Robots and time.


def test_a_disabled_robot_may_nothing_until_it_is_enabled(company: Company) -> None:
    made = robot(company.private, "temp", "repository:pull")
    robot_set_enabled(robot=made, is_enabled=False)
    assert rbac.actions(actor_of(made.user), company.private) == NOTHING
    robot_set_enabled(robot=made, is_enabled=True)
    assert rbac.actions(actor_of(made.user), company.private) == {"repository:pull"}


def test_a_robot_for_every_project_reaches_later_ones_and_others_do_not(company: Company) -> None:
    later = project_create(name="later", owner=company.actors["administrator"])
    assert rbac.actions(company.actors["system_robot_for_all"], later) == CLEANER
    for name in ("system_robot_for_private", "robot_of_private", "admin"):
        assert rbac.actions(company.actors[name], later) == NOTHING


def test_a_project_made_again_under_a_name_is_another_project(company: Company) -> None:
    project_delete(project=company.private)
    again = project_create(name="private", owner=person("newcomer"))
    for name, actor in company.actors.items():
        if name not in ("administrator", "system_robot_for_all"):
            assert (name, rbac.actions(actor, again)) == (name, NOTHING)


def test_a_deleted_robot_may_nothing(company: Company) -> None:
    made = robot(company.private, "temp", "repository:pull")
    actor = actor_of(made.user)
    robot_delete(robot=made)
    assert rbac.actions(actor, company.private) == NOTHING


def test_visibility_is_the_projects_now(company: Company) -> None:
    project_update(project=company.public, is_public=False)
    assert rbac.actions(ANONYMOUS, company.public) == NOTHING
    assert not rbac.visible_projects(ANONYMOUS)


def test_what_lies_outside_projects(company: Company) -> None:
    made, _secret = robot_create(
        creator=OPERATOR,
        name="lister",
        project=None,
        permissions=[Permission("system", "/", frozenset({"catalog:read"}))],
    )
    actor = actor_of(made.user)
    assert rbac.system_actions(actor) == {"catalog:read"}
    assert rbac.actions(actor, company.private) == NOTHING
    assert list(rbac.visible_projects(actor)) == [company.public]
    assert rbac.system_actions(company.actors["administrator"]) == ADMINISTRATOR_ACTIONS > SYSTEM_ACTIONS
    for name in ("anonymous", "admin", "robot_of_private", "system_robot_for_all"):
        assert rbac.system_actions(company.actors[name]) == NOTHING


# What it costs.


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("anonymous", 0),
        ("administrator", 0),
        ("developer", 1),
        ("guest_by_group", 1),
        ("stranger", 1),
        ("robot_of_private", 1),
        ("system_robot_for_all", 1),
    ],
)
def test_queries(company: Company, name: str, queries: int, django_assert_num_queries: Any) -> None:
    actor = company.actors[name]
    with django_assert_num_queries(queries):
        rbac.actions(actor, company.private)
    for count in (1, 2, 20):
        names = ["private", "public", *(f"missing{number}" for number in range(count))]
        with django_assert_num_queries(1 + queries):
            rbac.actions_by_name(actor, names)
    with django_assert_num_queries(1):
        rbac.actions_by_name(actor, ["missing"])
    with django_assert_num_queries(1):
        list(rbac.visible_projects(actor))
    with django_assert_num_queries(1):
        list(rbac.projects_allowing(actor, "repository:pull"))

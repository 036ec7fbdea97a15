"""projects.services: projects, members and robots; what is true afterwards, what is refused, and who loses what."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import combinations

import pytest
from django.db import IntegrityError, models
from django.utils import timezone

from accounts import services as accounts
from accounts.authentication import actor_of, authenticate_basic
from accounts.models import AccessToken, User
from harborlite.actors import OPERATOR, Actor
from harborlite.errors import BadRequest, Conflict, Denied, NotFound, Precondition, Unauthorized
from projects import rbac
from projects.models import (
    Member,
    Project,
    ProjectGroupObjectPermission,
    ProjectUserObjectPermission,
    Robot,
)
from projects.permissions import Permission
from projects.queries import member_of, permissions_of, robot_get
from projects.roles import ACTIONS, Role
from projects.services.members import member_add, member_remove, member_set_role
from projects.services.projects import library_ensure, project_create, project_delete, project_update
from projects.services.robots import (
    robot_create,
    robot_delete,
    robot_refresh_secret,
    robot_set_enabled,
    robot_update,
)
from registry.models import Repository
from registry.services.repositories import repository_ensure
from tests.projects.company import Company, build, person, robot
from tests.together import together

PULL = frozenset({"repository:pull"})


def pull(namespace: str, *more: str) -> list[Permission]:
    return [Permission("project", namespace, PULL | set(more))]


def version(row: models.Model) -> int:
    fresh = type(row)._default_manager.get(pk=row.pk)
    return fresh.access_version  # type: ignore[attr-defined, no-any-return]


# Projects.


def test_who_makes_a_project_administers_it(company: Company) -> None:
    user = person("maker")
    project = project_create(name="made", owner=user)
    assert (project.owner, project.is_public, project.access_version) == (user, False, 1)
    assert rbac.actions(actor_of(user), project) == ACTIONS[Role.ADMIN]
    assert project_create(name="made2", owner=actor_of(user)).owner == user


def test_what_a_robot_or_the_operator_makes_is_the_oldest_administrators(company: Company) -> None:
    for number, owner in enumerate((company.actors["system_robot_for_all"], OPERATOR)):
        project = project_create(name=f"made{number}", owner=owner)
        assert project.owner_id == company.actors["administrator"].user_id


@pytest.mark.parametrize(
    "name", ["a", "0", "a1", "a-b", "a.b", "a_b", "a-b.c_d", "123", "x" * 255, "library-of-everything"]
)
def test_names_that_are_allowed(db: None, name: str) -> None:
    assert project_create(name=name, owner=OPERATOR).name == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "A",
            "-a",
            "a-",
            ".a",
            "a.",
            "_a",
            "a--b",
            "a..b",
            "a__b",
            "a.-b",
            "a/b",
            "a b",
            "a\n",
            "\u00e4",
            "x" * 256,
        ),
        *("nul\x00", "a+b", "a$b", "..", "%2e", "\u0430"),
    ],
)
def test_names_that_are_not(db: None, name: str) -> None:
    with pytest.raises(BadRequest):
        project_create(name=name, owner=OPERATOR)


def test_a_name_is_taken_once(company: Company) -> None:
    with pytest.raises(Conflict):
        project_create(name="private", owner=OPERATOR)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_a_name_at_once_one_gets_it() -> None:
    one, two = person("one"), person("two")
    results = together(
        lambda: project_create(name="wanted", owner=one), lambda: project_create(name="wanted", owner=two)
    )
    assert results.count(Conflict) == 1
    project = Project.objects.get()
    assert [member.user for member in Member.objects.all()] == [project.owner]


def test_visibility_changes_the_version(company: Company) -> None:
    before = version(company.public)
    project_update(project=company.public, is_public=False)
    assert (company.public.is_public, company.public.access_version) == (False, before + 1)
    assert version(company.public) == before + 1


def test_a_deleted_project_leaves_nothing(company: Company) -> None:
    robots = list(company.private.robots.values_list("user", flat=True))
    project_delete(project=company.private)
    assert not Project.objects.filter(name="private").exists()
    assert not User.objects.filter(pk__in=robots).exists()
    assert permissions_of(robot_get(None, "one")) == []
    assert User.objects.filter(username="developer").exists()
    with pytest.raises(NotFound):
        project_delete(project=company.public.__class__(pk=company.private.pk or 0, name="private"))


def test_a_project_with_a_repository_is_not_deleted(company: Company) -> None:
    repository_ensure(project=company.private, path="app")
    before = version(company.private)
    with pytest.raises(Precondition):
        project_delete(project=company.private)
    assert version(company.private) == before
    assert robot_get(company.private, "ci").user.is_active
    assert rbac.actions(company.actors["developer"], company.private) == ACTIONS[Role.DEVELOPER]


@pytest.mark.django_db(transaction=True)
def test_of_a_repository_made_and_a_project_deleted_at_once_only_one_is_there() -> None:
    company = build()
    for number in range(5):
        project = project_create(name=f"p{number}", owner=company.actors["administrator"])

        def push(project: Project = project) -> object:
            try:
                return repository_ensure(project=project, path="app")
            except IntegrityError:
                return IntegrityError

        results = together(push, partial(project_delete, project=project))
        if results[1] is None:
            assert not Project.objects.filter(pk=project.pk).exists()
            assert not Repository.objects.filter(project=project.pk).exists()
        else:
            assert results[1] is Precondition
            assert Repository.objects.filter(project=project).exists()


def test_a_robot_of_a_deleted_project_is_refused_in_its_successor(company: Company) -> None:
    _robot, secret = robot_create(
        creator=OPERATOR, name="left", project=company.private, permissions=pull(company.private.name)
    )
    project_delete(project=company.private)
    again = project_create(name="private", owner=person("newcomer"))
    with pytest.raises(Unauthorized):
        authenticate_basic("robot$private+left", secret)
    made, new = robot_create(creator=OPERATOR, name="left", project=again, permissions=pull("private"))
    assert authenticate_basic("robot$private+left", new).user_id == made.user_id


def test_the_owner_s_account_can_go_and_the_project_stays(company: Company) -> None:
    user = person("maker")
    project = project_create(name="made", owner=user)
    accounts.user_delete(user=user)
    project.refresh_from_db()
    assert project.owner is None
    assert not Member.objects.filter(project=project).exists()


def test_there_is_a_public_library(db: None) -> None:
    accounts.admin_ensure("Correct-Horse-7")
    library_ensure()
    library_ensure()
    library = Project.objects.get()
    assert (library.name, library.is_public, str(library.owner)) == ("library", True, "admin")


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_that_start_at_once_one_makes_the_library() -> None:
    assert together(library_ensure, library_ensure) == [None, None]
    assert Project.objects.count() == 1


# Members.


@pytest.mark.parametrize("role", [0, 6, -1, 99])
def test_there_are_five_roles(company: Company, role: int) -> None:
    with pytest.raises(BadRequest):
        member_add(project=company.private, subject=person("new"), role=role)
    with pytest.raises(BadRequest):
        member_set_role(member=Member.objects.all()[0], role=role)
    assert not Member.objects.filter(user__username="new").exists()


def test_a_member_is_a_member_once(company: Company) -> None:
    user = User.objects.get(username="guest")
    with pytest.raises(Conflict):
        member_add(project=company.private, subject=user, role=Role.ADMIN)
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.GUEST]


def test_a_robot_is_no_member(company: Company) -> None:
    with pytest.raises(BadRequest):
        member_add(project=company.private, subject=robot_get(company.public, "ci").user, role=Role.GUEST)


def test_membership_changes_the_projects_version_each_time(company: Company) -> None:
    start, other = version(company.private), version(company.public)
    member = member_add(project=company.private, subject=person("new"), role=Role.DEVELOPER)
    member_set_role(member=member, role=Role.GUEST)
    member_remove(member=member)
    assert version(company.private) == start + 3
    assert version(company.public) == other


def test_who_is_removed_may_nothing(company: Company) -> None:
    user = person("new")
    member = member_add(project=company.private, subject=user, role=Role.ADMIN)
    member_set_role(member=member, role=Role.GUEST)
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.GUEST]
    member_remove(member=member)
    assert rbac.actions(actor_of(user), company.private) == frozenset()
    with pytest.raises(NotFound):
        member_set_role(member=member, role=Role.ADMIN)
    assert rbac.actions(actor_of(user), company.private) == frozenset()


def test_the_owner_stays_an_administrator(company: Company) -> None:
    owner = User.objects.get(username="boss")
    member = member_of(company.private, owner)
    with pytest.raises(Precondition):
        member_remove(member=member)
    with pytest.raises(Precondition):
        member_set_role(member=member, role=Role.GUEST)
    member_set_role(member=member, role=Role.ADMIN)
    assert member_of(company.private, owner).role == Role.ADMIN


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_a_member_at_once_one_is_told_conflict() -> None:
    company = build()
    for number in range(5):
        user, before = person(f"new{number}"), version(company.private)
        results = together(
            lambda: member_add(project=company.private, subject=user, role=Role.GUEST),  # noqa: B023
            lambda: member_add(project=Project.objects.get(name="private"), subject=user, role=Role.ADMIN),  # noqa: B023
        )
        assert results.count(Conflict) == 1
        member = Member.objects.get(user=user)
        assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role(member.role)]
        assert version(company.private) == before + 1


@pytest.mark.django_db(transaction=True)
def test_two_changes_of_a_role_at_once_leave_row_and_permission_agreeing() -> None:
    company = build()
    user = User.objects.get(username="guest")
    for _round in range(5):
        results = together(
            *(
                lambda role=role: member_set_role(member=Member.objects.get(user=user), role=role)
                for role in (Role.DEVELOPER, Role.MAINTAINER, Role.LIMITED_GUEST)
            )
        )
        assert results == [None, None, None]
        assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role(Member.objects.get(user=user).role)]


@pytest.mark.django_db(transaction=True)
def test_a_member_added_while_the_project_is_deleted_is_not_left_over() -> None:
    company = build()
    user = person("new")
    results = together(
        lambda: member_add(project=Project.objects.get(pk=company.private.pk), subject=user, role=Role.GUEST),
        lambda: project_delete(project=company.private),
    )
    assert results[1] is None
    assert not Member.objects.filter(user=user).exists()


# Robots.


def test_a_robot_is_named_after_its_project(company: Company) -> None:
    made, secret = robot_create(creator=OPERATOR, name="deploy", project=company.private, permissions=pull("private"))
    assert (made.user.login, made.level, made.duration) == ("robot$private+deploy", "project", -1)
    assert authenticate_basic("robot$private+deploy", secret).kind == "robot"
    made, secret = robot_create(creator=OPERATOR, name="deploy", project=None, permissions=pull("*"))
    assert (made.user.login, made.level) == ("robot$deploy", "system")
    assert authenticate_basic("robot$deploy", secret).user_id == made.user_id


def test_a_robots_secret_is_kept_nowhere(company: Company) -> None:
    made, secret = robot_create(creator=OPERATOR, name="deploy", project=company.private, permissions=pull("private"))
    rows = [*User.objects.values(), *AccessToken.objects.values(), *Robot.objects.values()]
    assert not [row for row in rows if secret in map(str, row.values())]
    assert not made.user.has_usable_password()


@pytest.mark.parametrize("name", ["", "A", "a+b", "a/b", "a b", "-a", "a--b", "x" * 256, "a\n", "nul\x00", "robot$a"])
def test_bad_robot_names_are_refused(company: Company, name: str) -> None:
    with pytest.raises(BadRequest):
        robot_create(creator=OPERATOR, name=name, project=company.private, permissions=pull("private"))


def test_a_robots_name_is_taken_once_in_a_project(company: Company) -> None:
    with pytest.raises(Conflict):
        robot_create(creator=OPERATOR, name="ci", project=company.private, permissions=pull("private"))
    with pytest.raises(Conflict):
        robot_create(creator=OPERATOR, name="all", project=None, permissions=pull("*"))


@pytest.mark.parametrize(
    ("of_project", "permissions"),
    [
        (True, []),
        (True, pull("public")),
        (True, pull("*")),
        (True, [*pull("private"), *pull("public")]),
        (True, [Permission("system", "/", frozenset({"catalog:read"}))]),
        (True, [Permission("project", "private", frozenset())]),
        (True, [Permission("project", "private", frozenset({"repository:fly"}))]),
        (True, [Permission("project", "private", frozenset({"robot:update"}))]),
        (False, []),
        (False, pull("missing")),
        (False, [*pull("*"), *pull("*", "tag:list")]),
        (False, [Permission("universe", "/", PULL)]),
        (False, [Permission("system", "/", PULL)]),
    ],
)
def test_no_robot_can_be_given_that(company: Company, of_project: bool, permissions: list[Permission]) -> None:
    before = Robot.objects.count()
    with pytest.raises(BadRequest):
        robot_create(
            creator=OPERATOR, name="new", project=company.private if of_project else None, permissions=permissions
        )
    assert Robot.objects.count() == before


@pytest.mark.parametrize(
    ("giver", "namespace", "action", "is_given"),
    [
        ("admin", "private", "repository:push", True),
        ("admin_by_group", "private", "robot:create", True),
        ("admin", "public", "repository:push", False),
        ("admin", "public", "repository:list", True),  # everybody has it there
        ("admin", "*", "repository:pull", False),
        ("admin", "/", "catalog:read", False),
        ("maintainer", "private", "metadata:update", False),
        ("developer", "private", "artifact:delete", False),
        ("guest", "private", "repository:push", False),
        ("stranger", "private", "repository:pull", False),
        ("stranger", "missing", "repository:pull", False),
        ("anonymous", "private", "repository:pull", False),
        ("disabled", "private", "repository:pull", False),
        ("robot_of_private", "private", "repository:push", True),
        ("robot_of_private", "private", "artifact:delete", False),
        ("robot_of_private", "public", "repository:push", False),
        ("robot_of_private", "*", "repository:pull", False),
        ("system_robot_for_all", "*", "artifact:delete", True),
        ("system_robot_for_all", "private", "artifact:delete", True),
        ("system_robot_for_all", "*", "repository:push", False),
        ("system_robot_for_all", "/", "catalog:read", False),
        ("expired_robot", "private", "repository:pull", False),
        ("disabled_robot", "private", "repository:pull", False),
        ("administrator", "/", "catalog:read", True),
        ("administrator", "*", "repository:push", True),
    ],
)
def test_nobody_gives_a_robot_more_than_they_have(
    company: Company, giver: str, namespace: str, action: str, is_given: bool
) -> None:
    kind = "system" if namespace == "/" else "project"
    permissions = [Permission(kind, namespace, frozenset({action}))]

    def create() -> tuple[Robot, str]:
        return robot_create(creator=company.actors[giver], name="new", project=None, permissions=permissions)

    def update(made: Robot) -> None:
        robot_update(
            editor=company.actors[giver], robot=made, permissions=permissions, duration=-1, description="changed"
        )

    weak = robot(None, "weak", "tag:list", namespace="public")
    if is_given:
        made, _secret = create()
        assert made.creator_id == company.actors[giver].user_id
        update(weak)
        assert permissions_of(robot_get(None, "weak")) == permissions
        return
    for attempt in (create, lambda: update(weak)):
        with pytest.raises(Denied) as caught:
            attempt()
        assert namespace not in caught.value.message
    assert not Robot.objects.filter(name="new").exists()
    weak = robot_get(None, "weak")
    assert weak.description == ""
    assert permissions_of(weak) == [Permission("project", "public", frozenset({"tag:list"}))]


@pytest.mark.parametrize("duration", [0, -2, 36_501, 2**31, 10**12])
def test_durations_that_are_refused(company: Company, duration: int) -> None:
    with pytest.raises(BadRequest):
        robot_create(
            creator=OPERATOR, name="new", project=company.private, permissions=pull("private"), duration=duration
        )


def test_bad_descriptions_are_refused(company: Company) -> None:
    for description in ("x" * 1025, "nul\x00", "\u202e"):
        with pytest.raises(BadRequest):
            robot_create(
                creator=OPERATOR, name="n", project=None, permissions=pull("*"), duration=-1, description=description
            )


def test_a_robot_expires_when_its_days_are_over(company: Company) -> None:
    made, secret = robot_create(
        creator=OPERATOR, name="new", project=company.private, permissions=pull("private"), duration=7
    )
    token = AccessToken.objects.get(user=made.user)
    assert token.expires_at is not None
    assert abs(token.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    Robot.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=8))
    robot_update(editor=OPERATOR, robot=made, permissions=pull("private"), duration=7, description="")
    with pytest.raises(Unauthorized):
        authenticate_basic(made.user.login, secret)
    robot_update(editor=OPERATOR, robot=made, permissions=pull("private"), duration=-1, description="")
    assert authenticate_basic(made.user.login, secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: robot_refresh_secret(robot=made),
        lambda made: robot_set_enabled(robot=made, is_enabled=False),
        lambda made: robot_update(
            editor=OPERATOR, robot=made, permissions=pull("private"), duration=-1, description=""
        ),
    ],
    ids=["secret", "disabled", "permissions"],
)
def test_what_changes_a_robots_access_changes_its_version(company: Company, change: Callable[[Robot], None]) -> None:
    made = robot(company.private, "new", "repository:push")
    change(made)
    assert version(made.user) == 2


def test_a_robots_new_permissions_replace_the_old(company: Company) -> None:
    made = robot(None, "new", "repository:push")
    scopes = [*pull("public"), Permission("system", "/", frozenset({"catalog:read"}))]
    robot_update(editor=OPERATOR, robot=made, permissions=scopes, duration=-1, description="two\nlines")
    assert permissions_of(robot_get(None, "new")) == scopes
    assert rbac.actions(actor_of(made.user), company.private) == frozenset()
    assert robot_get(None, "new").description == "two\nlines"


def test_a_disabled_robot_stays_so_when_it_is_changed(company: Company) -> None:
    made = robot(company.private, "new", "repository:push")
    robot_set_enabled(robot=made, is_enabled=False)
    robot_update(
        editor=OPERATOR,
        robot=robot_get(company.private, "new"),
        permissions=pull("private"),
        duration=5,
        description="",
    )
    robot_refresh_secret(robot=made)
    assert not User.objects.get(pk=made.user_id).is_active


def test_a_refreshed_secret_does_not_live_longer(company: Company) -> None:
    made = robot(company.private, "new", "repository:push", days=3)
    before = AccessToken.objects.get(user=made.user)
    secret = robot_refresh_secret(robot=made)
    after = AccessToken.objects.get(user=made.user)
    assert (before.expires_at, before.digest == after.digest) == (after.expires_at, False)
    assert authenticate_basic(made.user.login, secret)


def test_a_deleted_robot_is_gone_with_its_account(company: Company) -> None:
    made = robot(company.private, "new", "repository:push")
    robot_delete(robot=made)
    assert not User.objects.filter(username="robot$private+new").exists()
    for change in (
        lambda: robot_refresh_secret(robot=made),
        lambda: robot_set_enabled(robot=made, is_enabled=True),
        lambda: robot_update(editor=OPERATOR, robot=made, permissions=pull("private"), duration=-1, description=""),
    ):
        with pytest.raises(NotFound):
            change()


def test_a_robot_outlives_the_account_that_made_it(company: Company) -> None:
    user = person("maker")
    member_add(project=company.private, subject=user, role=Role.ADMIN)
    made, secret = robot_create(
        creator=actor_of(user), name="new", project=company.private, permissions=pull("private")
    )
    accounts.user_delete(user=user)
    made.refresh_from_db()
    assert made.creator is None
    assert isinstance(authenticate_basic(made.user.login, secret), Actor)


@pytest.mark.django_db(transaction=True)
def test_a_robot_made_while_its_project_is_deleted_is_not_left_over() -> None:
    company = build()
    for number in range(3):
        project = project_create(name=f"p{number}", owner=company.actors["administrator"])
        results = together(
            lambda: robot_create(
                creator=OPERATOR,
                name="new",
                project=Project.objects.get(pk=project.pk),  # noqa: B023
                permissions=pull(project.name),  # noqa: B023
            ),
            lambda: project_delete(project=project),  # noqa: B023
        )
        assert results[1] in (None, Precondition), results
        if results[1] is None:
            assert not User.objects.filter(username=f"robot${project.name}+new").exists()


@pytest.mark.django_db(transaction=True)
def test_changes_that_cross_each_other_leave_nothing_half_done() -> None:
    """Every pair of services that touch the same person, group, project and robot, at the same moment."""
    administrator = person("boss", is_admin=True)

    def pairs() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        for number, (one, two) in enumerate(combinations(range(8), 2)):
            owner, user = person(f"owner{number}"), person(f"user{number}")
            group = accounts.group_create(name=f"g{number}", kind=3)
            project = project_create(name=f"p{number}", owner=owner)
            member = member_add(project=project, subject=user, role=Role.GUEST)
            of_group = member_add(project=project, subject=group, role=Role.GUEST)
            made = robot(project, "ci", "repository:pull")
            wide = robot(None, f"r{number}", "repository:pull", namespace=project.name)
            changes: list[Callable[[], object]] = [
                partial(member_set_role, member=member, role=Role.ADMIN),
                partial(member_set_role, member=of_group, role=Role.ADMIN),
                partial(accounts.group_add_user, group=group, user=user),
                partial(accounts.group_delete, group=group),
                partial(accounts.user_delete, user=user if number % 2 else owner),
                partial(project_delete, project=project),
                partial(
                    robot_update,
                    editor=OPERATOR,
                    robot=made if number % 2 else wide,
                    permissions=pull(project.name, "tag:list"),
                    duration=3,
                    description="",
                ),
                partial(robot_delete, robot=made if number % 2 else wide),
            ]
            yield changes[one], changes[two]

    for one, two in pairs():
        together(one, two)
    assert User.objects.filter(pk=administrator.pk).exists()
    assert not User.objects.filter(kind="robot", robot__isnull=True).exists()
    for project in Project.objects.all():
        members = set(Member.objects.filter(project=project).values_list("user", "group", "role"))
        users = ProjectUserObjectPermission.objects.filter(content_object=project)
        groups = ProjectGroupObjectPermission.objects.filter(content_object=project)
        codenames = {role.codename: role.value for role in Role}
        assert members == {
            *((user, None, codenames[name]) for user, name in users.values_list("user", "permission__codename")),
            *((None, group, codenames[name]) for group, name in groups.values_list("group", "permission__codename")),
        }

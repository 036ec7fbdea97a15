"""The commands `project`, `member` and `robot`: what they do and print, and that they refuse on one line."""

import io

import pytest
from django.core.management import CommandError, call_command

from accounts import services as accounts
from accounts.authentication import actor_of, authenticate_basic
from accounts.models import User
from harborlite.errors import Unauthorized
from projects import rbac
from projects.models import Project
from projects.queries import project_get
from projects.roles import ACTIONS, Role
from tests.projects.company import Company, person


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_project_is_made_opened_closed_and_deleted(company: Company) -> None:
    assert run("project", "create", "team") == "created project team, owned by boss\n"
    assert not project_get("team").is_public
    run("project", "public", "team")
    assert project_get("team").is_public
    run("project", "private", "team")
    assert not project_get("team").is_public
    run("project", "delete", "team")
    assert not Project.objects.filter(name="team").exists()


def test_a_project_is_made_for_an_owner(company: Company) -> None:
    run("project", "create", "team", "--public", "--owner", "stranger")
    team = project_get("team")
    assert (team.is_public, str(team.owner)) == (True, "stranger")


def test_projects_are_listed(company: Company) -> None:
    lines = [line.split() for line in run("project", "list").splitlines()]
    assert [line[:3] for line in lines] == [
        ["name", "visibility", "owner"],
        ["private", "private", "boss"],
        ["public", "public", "boss"],
    ]


def test_a_project_called_like_an_id_is_meant_by_name(company: Company) -> None:
    run("project", "create", str(company.private.pk))
    run("project", "delete", str(company.private.pk))
    assert project_get("private") == company.private


def test_a_member_is_added_changed_and_removed(company: Company) -> None:
    user = person("new")
    run("member", "add", "private", "new", "developer")
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.DEVELOPER]
    run("member", "role", "private", "NEW", "limited-guest")
    assert rbac.actions(actor_of(user), company.private) == ACTIONS[Role.LIMITED_GUEST]
    assert ["new", "user", "limited-guest"] in [line.split() for line in run("member", "list", "private").splitlines()]
    run("member", "remove", "private", "new")
    assert rbac.actions(actor_of(user), company.private) == frozenset()


def test_a_group_is_a_member(company: Company) -> None:
    accounts.group_create(name="team", kind=3)
    run("member", "add", "private", "--group", "team", "maintainer")
    assert ["team", "group", "maintainer"] in [line.split() for line in run("member", "list", "private").splitlines()]
    run("member", "remove", "private", "--group", "team")
    assert "team" not in run("member", "list", "private").split()


def test_a_robot_is_made_and_its_secret_printed_once(company: Company) -> None:
    login, secret = run("robot", "create", "private", "deploy", "--push", "--days", "30").split()
    assert login == "robot$private+deploy"
    actor = authenticate_basic(login, secret)
    assert rbac.actions(actor, company.private) == {"repository:pull", "repository:push"}
    listed = run("robot", "list", "private")
    assert login in listed
    assert secret not in listed


def test_a_robot_is_refreshed_disabled_enabled_and_deleted(company: Company) -> None:
    login, old = run("robot", "create", "private", "deploy", "--pull").split()
    again, new = run("robot", "refresh", "private", "deploy").split()
    assert again == login
    run("robot", "disable", "private", "deploy")
    for secret in (old, new):
        with pytest.raises(Unauthorized):
            authenticate_basic(login, secret)
    run("robot", "enable", "private", "deploy")
    assert authenticate_basic(login, new)
    run("robot", "delete", "private", "deploy")
    assert not User.objects.filter(username=login).exists()


def test_a_robot_of_the_system_reaches_every_project(company: Company) -> None:
    login, secret = run("robot", "create", "--system", "mirror", "--permission", "repository:pull").split()
    assert login == "robot$mirror"
    assert rbac.actions(authenticate_basic(login, secret), company.private) == {"repository:pull"}
    assert [line.split()[0] for line in run("robot", "list", "--system").splitlines()] == [
        "name",
        "robot$all",
        "robot$mirror",
        "robot$old",
        "robot$one",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("project", "create", "Bad"), "a project's name has"),
        (("project", "create", "private"), "there is a project private already"),
        (("project", "create", "team", "--owner", "nobody"), "there is no user 'nobody'"),
        (("project", "delete", "missing"), "no such project"),
        (("member", "add", "missing", "guest", "guest"), "no such project"),
        (("member", "add", "private", "nobody", "guest"), "there is no user"),
        (("member", "add", "private", "guest", "guest"), "guest is a member already"),
        (("member", "add", "private", "stranger", "owner"), "invalid choice: 'owner'"),
        (("member", "add", "private", "--group", "nobody", "guest"), "there is no group"),
        (("member", "remove", "private", "stranger"), "stranger is no member of private"),
        (("member", "remove", "private", "boss"), "the owner stays"),
        (("robot", "create", "private", "new"), "say what the robot may do"),
        (("robot", "create", "new", "--pull"), "name a project or say --system"),
        (("robot", "create", "private", "new", "--system", "--pull"), "name a project or say --system"),
        (("robot", "create", "private", "new", "--permission", "repository:fly"), "can't be given repository:fly"),
        (("robot", "create", "private", "new", "--pull", "--days", "0"), "duration"),
        (("robot", "create", "private", "ci", "--pull"), "there is a robot ci already"),
        (("robot", "refresh", "private", "nobody"), "no such robot"),
    ],
)
def test_refusals_are_one_line(company: Company, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value)

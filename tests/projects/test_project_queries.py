"""projects.queries: finding and checking in one call."""

import pytest

from harborlite.errors import Denied, HarborliteError, NotFound, Unauthorized
from projects.models import Robot
from projects.permissions import Permission
from projects.queries import (
    member_get,
    member_of,
    members_of,
    permissions_of,
    project_for,
    project_get,
    projects_list,
    robot_get,
    robots_of,
)
from projects.services.projects import project_create
from tests.projects.company import Company, person


def test_a_project_is_found_by_name_and_by_id(company: Company) -> None:
    assert project_get("private") == project_get(company.private.pk) == project_get(str(company.private.pk))


def test_a_name_of_digits_is_a_name_when_it_is_said_so(company: Company) -> None:
    digits = project_create(name=str(company.private.pk), owner=company.actors["administrator"])
    assert project_get(digits.name) == company.private
    assert project_get(digits.name, is_name_given=True) == digits


@pytest.mark.parametrize(
    "ref", ["missing", "Private", "", "nul\x00", "\ud800", "../private", "9" * 30, "\u0661", "-1", 0, -1]
)
def test_what_is_no_project_is_not_found(company: Company, ref: str | int) -> None:
    with pytest.raises(NotFound):
        project_get(ref)


def test_who_may_gets_the_project(company: Company) -> None:
    for name in ("developer", "administrator", "robot_of_private"):
        assert project_for(company.actors[name], "private", "repository:push") == company.private


def test_who_may_see_but_not_do_is_denied(company: Company) -> None:
    for name in ("guest", "limited_guest_by_group"):
        with pytest.raises(Denied):
            project_for(company.actors[name], "private", "repository:push")
    with pytest.raises(Denied):
        project_for(company.actors["stranger"], "public", "repository:push")


def test_what_may_not_be_seen_answers_like_what_is_missing(company: Company) -> None:
    def answer(name: str, ref: str | int) -> tuple[object, ...]:
        with pytest.raises(HarborliteError) as caught:
            project_for(company.actors[name], ref, "project:read")
        return type(caught.value), caught.value.message, caught.value.detail, caught.value.headers

    for name in ("anonymous", "stranger", "disabled", "robot_of_public", "expired_robot"):
        assert answer(name, "private") == answer(name, "missing") == answer(name, company.private.pk)
        assert answer(name, "missing")[0] is (Unauthorized if name == "anonymous" else NotFound)


def test_who_has_not_signed_in_is_told_to(company: Company) -> None:
    assert project_for(company.actors["anonymous"], "public", "repository:pull") == company.public
    with pytest.raises(Unauthorized):
        project_for(company.actors["anonymous"], "public", "repository:push")


def test_projects_are_listed_by_name(company: Company) -> None:
    assert [str(project) for project in projects_list()] == ["private", "public"]


def test_a_member_is_found_in_its_own_project_only(company: Company) -> None:
    member = members_of(company.private)[0]
    assert member_get(company.private, member.pk) == member
    with pytest.raises(NotFound):
        member_get(company.public, member.pk)
    with pytest.raises(NotFound):
        member_of(company.private, person("nobody"))


def test_robots_are_found_in_their_own_project_only(company: Company) -> None:
    assert [str(robot) for robot in robots_of(company.public)] == ["robot$public+ci"]
    assert [robot.name for robot in robots_of(None)] == ["all", "old", "one"]
    assert robot_get(company.public, "ci").project == company.public
    for project, name in ((company.public, "off"), (None, "ci"), (company.public, "nul\x00"), (None, "*")):
        with pytest.raises(NotFound):
            robot_get(project, name)


def test_what_a_robot_carries_is_shown(company: Company) -> None:
    def carried(robot: Robot) -> list[Permission]:
        return permissions_of(robot)

    assert carried(robot_get(None, "one")) == [Permission("project", "private", frozenset({"repository:push"}))]
    assert carried(robot_get(None, "all"))[0].namespace == "*"

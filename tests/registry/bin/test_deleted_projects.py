"""A project that is deleted and restored is what it was, for those who are still there."""

from datetime import timedelta

import pytest
from django.db.models import Model
from django.utils import timezone
from pytest_django import Settings

from accounts import services as accounts
from accounts.authentication import actor_of, authenticate_basic
from accounts.models import AccessToken, Group, User
from harborlite.actors import ANONYMOUS, OPERATOR
from harborlite.errors import Conflict, NotFound, Unauthorized
from projects import queries, quota, rbac
from projects.models import (
    DeletedProject,
    ImmutableRule,
    Label,
    Member,
    Project,
    ProjectGroupObjectPermission,
    ProjectUserObjectPermission,
    Quota,
    QuotaEntry,
    Robot,
    RobotPermission,
)
from projects.permissions import Permission
from projects.roles import Role
from projects.services import deletions, members, projects, robots
from registry.models import Deletion, Repository
from registry.services import repositories, restorations
from registry.services.deletions import deletions_expire
from system.models import Event
from tests.registry.bin.snapshot import whole
from tests.registry.gc.shelf import Shelf

KEPT = (Project, Member, Quota, Label, ImmutableRule, Robot, RobotPermission, User, AccessToken)
PULL = frozenset({"repository:pull"})


class Town:
    """A project with everything in it."""

    def __init__(self) -> None:
        self.owner = accounts.user_create(username="owner", password=None)
        self.guest = accounts.user_create(username="guest", password=None)
        self.group = accounts.group_create(name="people", kind=Group.Kind.HTTP)
        flags = {"auto_scan": "true", "retention_id": "7"}
        self.project = projects.project_create(
            name="town", owner=self.owner, is_public=True, flags=flags, storage_limit=5000
        )
        members.member_add(project=self.project, subject=self.guest, role=Role.GUEST)
        members.member_add(project=self.project, subject=self.group, role=Role.MAINTAINER)
        self.label = Label.objects.create(project=self.project, name="good", color="#fff")
        ImmutableRule.objects.create(project=self.project, tag_selectors=[{"pattern": "v*"}])
        self.robot, self.secret = self._robot(self.project, "town")
        self.watcher, _ = self._robot(None, "town", "*")

    def _robot(self, project: Project | None, *namespaces: str) -> tuple[Robot, str]:
        given = [Permission("project", name, PULL) for name in namespaces]
        return robots.robot_create(
            creator=OPERATOR, name="r", project=project, permissions=given, duration=30, description="it pulls"
        )

    def delete(self) -> DeletedProject:
        projects.project_delete(project=self.project)
        return DeletedProject.objects.get()


def rows(kind: type[Model]) -> list[dict[str, object]]:
    left_out = {"access_version", "updated_at", "metadata"}
    found = kind._default_manager.order_by("pk").values()
    return [{name: value for name, value in row.items() if name not in left_out} for row in found]


@pytest.fixture
def town() -> Town:
    return Town()


def test_it_comes_back_with_all_that_was_its_own(town: Town) -> None:
    before = {kind: rows(kind) for kind in KEPT}
    roles = {person: rbac.actions(actor_of(person), town.project) for person in (town.owner, town.guest)}
    deleted = town.delete()
    assert not any(kind._default_manager.exists() for kind in (Project, Member, Quota, Label, ImmutableRule))
    restored = deletions.project_restore(deleted=deleted)
    assert {kind: rows(kind) for kind in KEPT} == before
    assert {person: rbac.actions(actor_of(person), restored) for person in roles} == roles
    assert list(ProjectUserObjectPermission.objects.order_by("pk").values_list("user", flat=True)) == [
        town.owner.pk,
        town.guest.pk,
    ]
    assert ProjectGroupObjectPermission.objects.get().group_id == town.group.pk
    assert restored.metadata == {"auto_scan": "true", "retention_id": "7"}
    assert not DeletedProject.objects.exists()


def test_its_robots_sign_in_again(town: Town) -> None:
    login = town.robot.user.login
    deleted = town.delete()
    with pytest.raises(Unauthorized):
        authenticate_basic(login, town.secret)
    restored = deletions.project_restore(deleted=deleted)
    actor = authenticate_basic(login, town.secret)
    assert rbac.allowed(actor, restored, "repository:pull")
    assert rbac.allowed(actor_of(town.watcher.user), restored, "repository:pull")


def test_tokens_from_before_stay_refused(town: Town) -> None:
    before = (town.project.access_version, town.robot.user.access_version)
    restored = deletions.project_restore(deleted=town.delete())
    robot = User.objects.get(pk=town.robot.user_id)
    assert restored.access_version > before[0]
    assert robot.access_version > before[1]


def test_who_is_gone_does_not_come_back(town: Town) -> None:
    deleted = town.delete()
    accounts.user_delete(user=town.owner)
    accounts.group_delete(group=town.group)
    robots.robot_delete(robot=town.watcher)
    restored = deletions.project_restore(deleted=deleted)
    assert (restored.owner, Member.objects.get().user) == (None, town.guest)
    assert RobotPermission.objects.get().robot == town.robot


def test_its_repositories_come_back_after_it(town: Town) -> None:
    shelf = Shelf(project=town.project)
    shelf.image(b"config", b"layer", tag="v1")
    ImmutableRule.objects.all().delete()
    before = whole(shelf.repository)
    repositories.repository_delete(repository=shelf.repository)
    restored = deletions.project_restore(deleted=town.delete())
    assert quota.of(restored.pk).used == 0
    found = Deletion.objects.get()
    restorations.deletion_restore(project=restored, deletion_id=found.pk, actor="owner")
    after = whole(Repository.objects.get())
    assert {**after, "moves": after["moves"][:1]} == before


def test_the_ledger_begins_anew(town: Town) -> None:
    """What came was folded, and what went was not yet: entries go with the project."""
    Quota.objects.filter(project=town.project).update(folded=500)
    QuotaEntry.objects.create(project=town.project, delta=-500)
    restored = deletions.project_restore(deleted=town.delete())
    assert (quota.of(restored.pk).used, quota.of(restored.pk).hard) == (0, 5000)


def test_another_project_of_the_name_is_in_the_way(town: Town) -> None:
    deleted = town.delete()
    other = projects.project_create(name="town", owner=OPERATOR)
    with pytest.raises(Conflict, match="town"):
        deletions.project_restore(deleted=deleted)
    assert DeletedProject.objects.get() == deleted
    projects.project_delete(project=other)
    assert deletions.project_restore(deleted=deleted).pk == town.project.pk


def test_after_the_window_it_is_gone(town: Town) -> None:
    deleted = town.delete()
    DeletedProject.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        deletions.project_restore(deleted=deleted)
    assert not queries.deleted_projects_for(OPERATOR).exists()
    assert deletions_expire(10) == 1
    assert not DeletedProject.objects.exists()


def test_without_a_window_nothing_is_kept(town: Town, settings: Settings) -> None:
    settings.RESTORE_DAYS = 0
    projects.project_delete(project=town.project)
    assert not DeletedProject.objects.exists()


def test_who_administered_it_sees_it(town: Town) -> None:
    deleted = town.delete()
    seen = {person: queries.deleted_projects_for(actor_of(person)).exists() for person in (town.owner, town.guest)}
    assert seen == {town.owner: True, town.guest: False}
    assert not queries.deleted_projects_for(ANONYMOUS).exists()
    assert not queries.deleted_projects_for(actor_of(town.watcher.user)).exists()
    with pytest.raises(NotFound):
        queries.deleted_project_for(actor_of(town.guest), deleted.pk)


def test_the_events_tell_and_no_secret(town: Town) -> None:
    deletions.project_restore(deleted=town.delete())
    deletions.deleted_project_purge(deleted=town.delete())
    told = Event.objects.filter(resource_type="project").order_by("pk")
    assert list(told.values_list("operation", flat=True)) == ["create", "delete", "restore", "delete", "purge"]
    assert "digest" not in str([event.extra for event in told])
    assert not DeletedProject.objects.exists()

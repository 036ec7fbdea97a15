"""Writes of projects."""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import F, ProtectedError
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from accounts.models import User
from accounts.queries import owner_by_default
from accounts.services import robot_accounts_delete
from harborlite import generations
from harborlite.actors import OPERATOR, Actor
from harborlite.errors import BadRequest, Conflict, NotFound, Precondition
from projects import rbac
from projects.metadata import PUBLIC, RETENTION
from projects.models import Member, Project, Robot
from projects.names import RULE, is_name
from projects.roles import Role
from projects.services.deletions import project_keep
from projects.services.quotas import quota_create
from system.events import emit

LIBRARY = "library"
HAS_REPOSITORIES = "the project contains repositories, can not be deleted"
"""Harbor's words."""


@retried
def project_create(
    *,
    name: str,
    owner: Actor | User,
    is_public: bool = False,
    flags: Mapping[str, str] | None = None,
    allowlist: Mapping[str, object] | None = None,
    storage_limit: int | None = None,
) -> Project:
    """An empty project whose owner is its administrator. BadRequest for a bad name, Conflict when it is taken.

    `flags` are such as projects.metadata lets pass. What a robot or the operator makes belongs to the oldest
    administrator of the system, as in Harbor. `storage_limit` is in bytes, -1 for none; without it the configuration's
    is taken.
    """
    if not is_name(name):
        raise BadRequest(f"project_name: a project's name has {RULE}")
    is_public, kept = _divided(flags or {}, is_public=is_public)
    with refusals(f"there is a project {name} already", "the owner is gone"), transaction.atomic(durable=True):
        person = _person(owner)
        project = Project.objects.create(
            name=name, is_public=is_public, owner=person, metadata=kept, cve_allowlist=allowlist or {}
        )
        if person:
            Member.objects.create(project=project, user=person, role=Role.ADMIN)
            rbac.grant(project, person, Role.ADMIN)
        quota_create(project=project, hard=storage_limit)
        _told("create", project, {"public": is_public, **kept})
    return project


@retried
def project_update(
    *,
    project: Project,
    is_public: bool | None = None,
    flags: Mapping[str, str] | None = None,
    allowlist: Mapping[str, object] | None = None,
) -> None:
    """What is given is set, the rest stays. When it becomes private or public, tokens issued before are refused."""
    with transaction.atomic(durable=True):
        locked = _locked(project)
        is_public, kept = _divided(flags or {}, is_public=locked.is_public if is_public is None else is_public)
        _write(locked, is_public=is_public, metadata={**locked.metadata, **kept}, allowlist=allowlist)
        _told("update", locked, {"public": is_public, **kept})
        project.refresh_from_db()


@retried
def metadata_add(*, project: Project, flags: Mapping[str, str]) -> None:
    """The project has `flags` too. Conflict when it has one of them already; it has always `public`."""
    with transaction.atomic(durable=True):
        locked = _locked(project)
        present = [name for name in flags if name == PUBLIC or name in locked.metadata]
        if present:
            raise Conflict(f"the project has the metadata {', '.join(present)} already")
        _write(locked, is_public=locked.is_public, metadata={**locked.metadata, **flags})
        _told("update", locked, flags)


@retried
def metadata_delete(*, project: Project, name: str) -> None:
    """The project has no flag `name`, whether it had one or not (Harbor); without `public` it is private."""
    with transaction.atomic(durable=True):
        locked = _locked(project)
        if name not in (PUBLIC, *locked.metadata):
            return
        kept = {key: value for key, value in locked.metadata.items() if key != name}
        _write(locked, is_public=locked.is_public and name != PUBLIC, metadata=kept)
        _told("update", locked, {name: None})


def retention_set(*, project: Project, policy_id: int | None) -> None:
    """The project's metadata name this retention policy, or none. In the caller's transaction, which tells of it."""
    locked = _locked(project)
    kept = {name: value for name, value in locked.metadata.items() if name != RETENTION}
    named = {} if policy_id is None else {RETENTION: str(policy_id)}
    _write(locked, is_public=locked.is_public, metadata={**kept, **named})
    project.refresh_from_db()


@retried
def project_delete(*, project: Project) -> None:
    """The project is gone with its members, robots and labels. Precondition while it has repositories.

    It can be restored (services.deletions).
    The repositories lie above this app: their foreign key protects the project.
    """
    try:
        with transaction.atomic(durable=True):
            # Whatever is being put into the project waits for this lock at its commit, and then learns that it is gone.
            Project.objects.select_for_update().filter(pk=project.pk).first()
            access_changed(project)
            project_keep(project=project)
            robots = Robot.objects.select_for_update(of=("self",)).filter(project=project).order_by("pk")
            robot_accounts_delete(user_ids=robots.values_list("user", flat=True))
            Project.objects.filter(pk=project.pk).delete()
            _told("delete", project)
    except ProtectedError:
        raise Precondition(HAS_REPOSITORIES) from None


def library_ensure() -> None:
    """There is the project `library`, public, into which images without a project's name are usually pushed."""
    if Project.objects.filter(name=LIBRARY).exists():
        return
    try:
        project_create(name=LIBRARY, is_public=True, owner=OPERATOR)
    except Conflict:  # of two processes that start at once, one is the second
        return


def access_changed(project: Project, **values: object) -> None:
    """`project`'s row has `values` and its version is one higher; the instance follows. NotFound when it is gone.

    Inside the caller's transaction and first in it: the row's lock puts what changes a project's members in order.
    """
    changes = {"access_version": F("access_version") + 1, "updated_at": Now(), **values}
    if not Project.objects.filter(pk=project.pk).update(**changes):
        raise NotFound("there is no such project")
    project.refresh_from_db()
    generations.bump_on_commit("project", project.pk)


def _locked(project: Project) -> Project:
    """The project as it is now, its row locked against other changes; pushes go on. NotFound when it is gone."""
    locked = Project.objects.select_for_update(no_key=True).filter(pk=project.pk).first()
    if locked is None:
        raise NotFound("there is no such project")
    return locked


def _divided(flags: Mapping[str, str], *, is_public: bool) -> tuple[bool, dict[str, str]]:
    """Whether the project is public by `flags`, else as given, and the flags that are kept as such."""
    kept = dict(flags)
    return kept.pop(PUBLIC, str(is_public).lower()) == "true", kept


def _write(
    project: Project,
    *,
    is_public: bool,
    metadata: Mapping[str, str],
    allowlist: Mapping[str, object] | None = None,
) -> None:
    """The locked `project` has these values; its version is one higher when who may see it changes."""
    values: dict[str, object] = {"metadata": dict(metadata)}
    if allowlist is not None:
        values["cve_allowlist"] = allowlist
    if is_public != project.is_public:
        access_changed(project, is_public=is_public, **values)
    else:
        Project.objects.filter(pk=project.pk).update(updated_at=Now(), **values)


def _told(operation: str, project: Project, metadata: Mapping[str, object] | None = None) -> None:
    extra = {"metadata": metadata} if metadata else None
    emit(operation, "project", project.name, project_id=project.pk, project=project.name, extra=extra)


def _person(owner: Actor | User) -> User | None:
    """The person who owns what `owner` makes; None when there is nobody at all yet."""
    if isinstance(owner, User):
        return owner if owner.kind == User.Kind.USER else owner_by_default()
    if owner.kind == "user" and owner.user_id is not None:
        person = User.objects.filter(pk=owner.user_id).first()
        if person is None:
            raise NotFound("the owner is gone")
        return person
    return owner_by_default()

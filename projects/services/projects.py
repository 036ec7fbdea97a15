"""Writes of projects."""

from django.db import transaction
from django.db.models import F, ProtectedError
from django.db.models.functions import Now

from accounts.actors import OPERATOR, Actor
from accounts.constraints import refusals, retried
from accounts.models import User
from accounts.queries import owner_by_default
from accounts.services import robot_accounts_delete
from harborlite import generations
from harborlite.errors import BadRequest, Conflict, NotFound, Precondition
from projects import rbac
from projects.models import Member, Project, Robot
from projects.names import RULE, is_name
from projects.roles import Role

LIBRARY = "library"


@retried
def project_create(*, name: str, is_public: bool = False, owner: Actor | User) -> Project:
    """An empty project whose owner is its administrator. BadRequest for a bad name, Conflict when it is taken.

    What a robot or the operator makes belongs to the oldest administrator of the system, as in Harbor.
    """
    if not is_name(name):
        raise BadRequest(f"a project's name has {RULE}")
    with refusals(f"there is a project {name} already", "the owner is gone"), transaction.atomic(durable=True):
        person = _person(owner)
        project = Project.objects.create(name=name, is_public=is_public, owner=person)
        if person:
            Member.objects.create(project=project, user=person, role=Role.ADMIN)
            rbac.grant(project, person, Role.ADMIN)
    return project


@retried
def project_update(*, project: Project, is_public: bool) -> None:
    """The project is public or not; tokens issued for it before are refused."""
    with transaction.atomic(durable=True):
        access_changed(project, is_public=is_public)


@retried
def project_delete(*, project: Project) -> None:
    """The project is gone with its members and robots. Precondition while it has repositories.

    The repositories lie above this app: their foreign key protects the project.
    """
    try:
        with transaction.atomic(durable=True):
            # Whatever is being put into the project waits for this lock at its commit, and then learns that it is gone.
            Project.objects.select_for_update().filter(pk=project.pk).first()
            access_changed(project)
            robots = Robot.objects.select_for_update(of=("self",)).filter(project=project).order_by("pk")
            robot_accounts_delete(user_ids=robots.values_list("user", flat=True))
            Project.objects.filter(pk=project.pk).delete()
    except ProtectedError:
        raise Precondition("the project has repositories; delete them first") from None


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

"""The clerk: runs the product's services in a server's own database, for tests.factories.

A program: reads lines [service, values] of JSON, answers {"result": ...} or {"error": ...} for each.
"""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import django

django.setup()

from django.db import connections, transaction  # noqa: E402 - what follows can be imported once Django is set up

from accounts import queries as accounts_queries  # noqa: E402
from accounts import services as accounts  # noqa: E402
from accounts.authentication import actor_of  # noqa: E402
from accounts.models import User  # noqa: E402
from harborlite.actors import OPERATOR  # noqa: E402
from projects import permissions, queries  # noqa: E402
from projects.models import Member, Project, Robot  # noqa: E402
from projects.services import members, projects, robots  # noqa: E402
from registry import access, fsck, tokens  # noqa: E402
from registry.models import Blob, Manifest, Repository, Tag, TagMove, Upload  # noqa: E402
from system import config  # noqa: E402

SERVICES: dict[str, Callable[..., object]] = {}


def service(function: Callable[..., object]) -> Callable[..., object]:
    SERVICES[function.__name__] = function
    return function


def _user(username: str) -> User:
    return accounts_queries.user_get(username)


def _project(name: str) -> Project:
    return queries.project_get(name, is_name_given=True)


def _robot(login: str) -> Robot:
    return Robot.objects.select_related("user").get(
        user__username="robot$" + login.removeprefix(config.get("robot_name_prefix"))
    )


def _member(project: str, username: str) -> Member:
    return queries.members_of(_project(project)).get(user=_user(username))


def _repository(name: str) -> Repository:
    project, _, path = name.partition("/")
    return Repository.objects.get(project__name=project, name=path)


# Accounts.


@service
def user_create(username: str, password: str, is_admin: bool) -> None:
    accounts.user_create(username=username, password=password, is_admin=is_admin)


@service
def user_disable(username: str) -> None:
    accounts.user_disable(user=_user(username))


@service
def user_enable(username: str) -> None:
    accounts.user_enable(user=_user(username))


@service
def user_delete(username: str) -> None:
    accounts.user_delete(user=_user(username))


@service
def user_set_admin(username: str, is_admin: bool) -> None:
    accounts.user_set_admin(user=_user(username), is_admin=is_admin)


@service
def user_set_password(username: str, password: str) -> None:
    accounts.user_set_password(user=_user(username), password=password)


@service
def token_issue(username: str, name: str) -> str:
    return accounts.token_issue(user=_user(username), name=name)[1]


# Projects.


@service
def project_create(name: str, is_public: bool, owner: str) -> None:
    projects.project_create(name=name, is_public=is_public, owner=_user(owner))


@service
def project_update(name: str, is_public: bool) -> None:
    projects.project_update(project=_project(name), is_public=is_public)


@service
def project_delete(name: str) -> None:
    projects.project_delete(project=_project(name))


@service
def member_add(project: str, username: str, role: int) -> None:
    members.member_add(project=_project(project), subject=_user(username), role=role)


@service
def member_set_role(project: str, username: str, role: int) -> None:
    members.member_set_role(member=_member(project, username), role=role)


@service
def member_remove(project: str, username: str) -> None:
    members.member_remove(member=_member(project, username))


@service
def robot_create(project: str | None, name: str, given: Mapping[str, list[str]]) -> list[str]:
    robot, secret = robots.robot_create(
        creator=OPERATOR,
        name=name,
        project=_project(project) if project else None,
        permissions=[
            permissions.Permission("system" if where == "/" else "project", where, frozenset(what))
            for where, what in given.items()
        ],
    )
    return [robot.user.login, secret]


@service
def robot_expire(login: str) -> None:
    """As if its time were over; no service can make it so."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    accounts.robot_account_update(user=_robot(login).user, is_active=True, expires_at=past)


@service
def robot_set_enabled(login: str, is_enabled: bool) -> None:
    robots.robot_set_enabled(robot=_robot(login), is_enabled=is_enabled)


@service
def robot_delete(login: str) -> None:
    robots.robot_delete(robot=_robot(login))


# Content: what no face shows, and rows in numbers that no test could push.


@service
def moves_of(repository: str) -> list[list[str | None]]:
    rows = TagMove.objects.filter(repository=_repository(repository)).order_by("pk")
    return [list(row) for row in rows.values_list("tag", "from_digest", "to_digest", "actor")]


@service
def storage_keys() -> list[str]:
    uploads = [upload.storage_key for upload in Upload.objects.all()]
    return [*Blob.objects.values_list("storage_key", flat=True), *uploads]


@service
def tags_fill(repository: str, count: int) -> None:
    """`count` more tags of what the repository's first tag points at."""
    held = Tag.objects.select_related("manifest").filter(repository=_repository(repository)).order_by("pk")[0]
    names = [f"filled-{number:06}" for number in range(count)]
    to = {"repository_id": held.repository_id, "to_digest": held.manifest.digest, "actor": "clerk"}
    TagMove.objects.bulk_create(TagMove(tag=name, **to) for name in names)
    Tag.objects.bulk_create(
        Tag(repository_id=held.repository_id, manifest_id=held.manifest_id, name=name) for name in names
    )


@service
def referrers_fill(repository: str, subject: str, count: int) -> None:
    """`count` more manifests with that subject, which nobody could pull."""
    model = Manifest.objects.filter(repository=_repository(repository), subject_digest=subject)[0]
    Manifest.objects.bulk_create(
        Manifest(
            project_id=model.project_id,
            repository_id=model.repository_id,
            digest=f"sha256:{number:064x}",
            media_type=model.media_type,
            artifact_type=model.artifact_type,
            subject_digest=subject,
            annotations={"number": str(number)},
            size=1,
            content=b"{}",
        )
        for number in range(count)
    )


@service
def rows_drop(repository: str) -> None:
    """What `tags_fill` and `referrers_fill` made is gone."""
    Tag.objects.filter(repository=_repository(repository), name__startswith="filled-").delete()
    Manifest.objects.filter(repository=_repository(repository), size=1).delete()


@service
def tag_move_unmarked(repository: str, tag: str, digest: str) -> None:
    """What a writer leaves that dies between its commit and telling the other processes of it."""
    held = Tag.objects.get(repository=_repository(repository), name=tag)
    with transaction.atomic():
        to = Manifest.objects.get(repository=held.repository_id, digest=digest)
        TagMove.objects.create(repository_id=held.repository_id, tag=tag, to_digest=digest, actor="clerk")
        Tag.objects.filter(pk=held.pk).update(manifest=to)


@service
def token_of(username: str, scope: str, seconds: int) -> str:
    """A registry token of this scope that is valid for so long."""
    actor = actor_of(_user(username))
    return tokens.issue(actor, access.grant(actor, access.parse_scopes([scope])), seconds=seconds)


@service
def violations() -> list[str]:
    """What the product's own check finds, with all bytes read."""
    return [str(violation) for violation in fsck.check(deep=True)]


def serve() -> None:
    for line in sys.stdin:
        what, values = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"result": SERVICES[what](**values)}
        except Exception as error:  # noqa: BLE001 - the test is told
            answer = {"error": repr(error)}
        finally:
            connections.close_all()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()

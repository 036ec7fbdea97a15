"""Rows in numbers that nobody could push, and how many queries a request takes.

A program, run with a server's environment and so on its database: `python -m benchmarks.filling fill SCALE` makes
SCALE (1.0: 1,000 repositories with 100,000 artifacts), `... count` reads paths, one a line, and prints for each how
many queries it took. Passwords and contents are of no use: only lists can be asked for what it makes.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")
django.setup()

from django.contrib.auth.models import Permission  # noqa: E402 - what follows can be imported once Django is set up
from django.db import connection, models  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import AccessToken, User  # noqa: E402
from projects.models import (  # noqa: E402
    Label,
    Member,
    Project,
    ProjectUserObjectPermission,
    Quota,
    Robot,
    RobotPermission,
)
from registry.models import (  # noqa: E402
    Blob,
    Manifest,
    ManifestLabel,
    ManifestReference,
    ProjectBlob,
    Repository,
    RepositoryBlob,
    Tag,
)
from system.models import Event  # noqa: E402

OCI = "application/vnd.oci.image."
FULL = {"projects": 1_000, "people": 1_000, "repositories": 1_000, "artifacts": 100_000, "events": 1_000_000}
SHARE = 0.1
"""Of all artifacts, in the first repository; the others share the rest."""


def fill(scale: float) -> None:
    """What FULL says times `scale`, in the project `big` for the most part; with statistics for the planner."""
    _execute("SET statement_timeout = 0")
    counts = {name: int(number * scale) for name, number in FULL.items()}
    admin = User.objects.get(username="admin")
    big = Project.objects.create(name="big", owner=admin)
    _insert(Project, _numbers(counts["projects"]), name="'big-' || n", owner_id=admin.pk, is_public="n % 2 = 0")
    _insert(Quota, "projects_project s WHERE NOT EXISTS (SELECT FROM projects_quota q WHERE q.project_id = s.id)",
            project_id="s.id")  # fmt: skip
    _people(big.pk, counts["people"])
    _robots(big.pk, counts["people"])
    _insert(Label, _numbers(counts["people"]), project_id=big.pk, name="'label-' || n", color="'#00ff00'")
    _insert(Repository, _numbers(counts["repositories"]), project_id=big.pk, name="'deep/repo-' || n")
    _artifacts(big.pk, counts["artifacts"], counts["repositories"])
    _events(big.pk, counts["events"])
    _execute("VACUUM ANALYZE")
    tenth = Tag.objects.filter(name__startswith="also-", repository__name="deep/repo-1").order_by("pk")[0]
    print(json.dumps({"project": big.pk, "tenth": tenth.manifest_id}))


def _people(project: int, number: int) -> None:
    name = "'person-' || n"
    _insert(User, _numbers(number), username=name, username_key=name, password="'!'", email=f"{name} || '@example.com'")
    people = "accounts_user s WHERE username LIKE 'person-%'"
    _insert(Member, people, project_id=project, user_id="s.id", role=2)
    role = Permission.objects.get(codename="role_developer").pk
    _insert(ProjectUserObjectPermission, people, content_object_id=project, user_id="s.id", permission_id=role)


def _robots(project: int, number: int) -> None:
    name = "'robot$big+robot-' || n"
    _insert(User, _numbers(number), username=name, username_key=name, password="'!'", kind="'robot'")
    users = "accounts_user s WHERE kind = 'robot'"
    _insert(Robot, users, project_id=project, user_id="s.id", name="'robot-' || s.id")
    _insert(AccessToken, users, user_id="s.id", name="'secret'", digest="md5(s.id::text) || md5('x')")
    access = """'["repository:pull", "repository:push"]'"""
    _insert(RobotPermission, "projects_robot s", robot_id="s.id", kind="'project'", project_id=project, access=access)


def _artifacts(project: int, number: int, repositories: int) -> None:
    """Images with a config and a layer of their own and a tag; every tenth with a label, a second tag, a signature."""
    first = Repository.objects.order_by("pk")[0].pk
    common: dict[str, object] = {
        "project_id": project, "size": 500, "content": "'{}'::bytea", "media_type": f"'{OCI}manifest.v1+json'",
        "config_media_type": f"'{OCI}config.v1+json'",
    }  # fmt: skip
    _insert(
        Manifest, _numbers(number), digest=_digest("m", "n"), type="'IMAGE'", artifact_size="1000 + n",
        repository_id=f"{first} + CASE WHEN n <= {int(number * SHARE)} THEN 0 ELSE 1 + n % {repositories - 1} END",
        extra_attrs="""'{"architecture": "amd64", "os": "linux", "config": {}}'""",
        pushed_at="now() - n * interval '1 minute'", **common,
    )  # fmt: skip
    _blobs(project, "config", 0)
    _blobs(project, "layer", 1)
    images = "registry_manifest s WHERE type = 'IMAGE'"
    tenth = f"{images} AND id % 10 = 0"
    _insert(Tag, images, repository_id="s.repository_id", manifest_id="s.id", name="'v' || s.id")
    _insert(Tag, tenth, repository_id="s.repository_id", manifest_id="s.id", name="'also-' || s.id")
    _insert(ManifestLabel, tenth, manifest_id="s.id", label_id=Label.objects.order_by("pk")[0].pk)
    _insert(
        Manifest, tenth, repository_id="s.repository_id", digest=_digest("s", "s.id"), type="'SIGNATURE.COSIGN'",
        subject_digest="s.digest", accessory_of="s.digest", accessory_type="'signature.cosign'", is_listed=False,
        artifact_size=700, pushed_at="s.pushed_at", **common,
    )  # fmt: skip
    _execute(
        "UPDATE registry_repository r SET artifact_count = f.number FROM (SELECT repository_id, count(*) AS number"
        " FROM registry_manifest WHERE is_listed GROUP BY repository_id) f WHERE f.repository_id = r.id"
    )
    _execute(
        "UPDATE projects_quota q SET folded = f.bytes FROM (SELECT project_id, sum(size) AS bytes"
        " FROM registry_projectblob GROUP BY project_id) f WHERE f.project_id = q.project_id"
    )


def _blobs(project: int, kind: str, position: int) -> None:
    """One of that kind in every image."""
    images = "registry_manifest s WHERE type = 'IMAGE'"
    key = f"md5('{kind}' || s.id)"
    _insert(Blob, images, digest=_digest(kind, "s.id"), size=250, storage_key=key)
    held = f"registry_manifest s JOIN registry_blob b ON b.storage_key = {key}"
    _insert(ProjectBlob, held, project_id=project, blob_id="b.id", size=250)
    held += " JOIN registry_projectblob p ON p.blob_id = b.id"
    _insert(RepositoryBlob, held, repository_id="s.repository_id", blob_id="b.id", holding_id="p.id",
            leased_until="now()")  # fmt: skip
    held += " JOIN registry_repositoryblob l ON l.blob_id = b.id"
    _insert(
        ManifestReference, held, manifest_id="s.id", kind=f"'{kind}'", position=position, digest="b.digest",
        media_type=f"'{OCI}{kind}'", size=250, link_id="l.id",
    )  # fmt: skip


def _events(project: int, number: int) -> None:
    _insert(
        Event, _numbers(number), username="'user-' || (n % 100)", project_id=f"CASE WHEN n % 2 = 0 THEN {project} END",
        operation="(array['create', 'push', 'delete'])[n % 3 + 1]", resource="'big/deep/repo-' || n % 1000",
        resource_type="(array['project', 'artifact', 'tag'])[n % 3 + 1]", at=f"now() - ({number} - n) * interval '1 s'",
    )  # fmt: skip


def _numbers(number: int) -> str:
    return f"generate_series(1, {number}) AS n"


def _digest(kind: str, number: str) -> str:
    return f"'sha256:' || encode(sha256(convert_to('{kind}' || {number}, 'UTF8')), 'hex')"


def _insert(model: type[models.Model], source: str, **columns: object) -> None:
    """A row of `model` for each row of `source`; `columns` are SQL, and what they don't name has its default."""
    values = dict(_values(model, columns))
    names = ", ".join(f'"{name}"' for name in values)
    _execute(f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(values.values())} FROM {source}")


def _values(model: type[models.Model], given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Column and SQL of all but what the database itself fills in."""
    for field in model._meta.concrete_fields:
        if field.attname in given:
            yield field.column, str(given[field.attname])
        elif not field.primary_key and not field.has_db_default():
            with connection.cursor() as cursor:
                default = field.get_db_prep_save(field.get_default(), connection)
                yield field.column, cursor.mogrify("%s", [default]).decode()


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def count() -> None:
    """For each path on standard input, as JSON: how many queries it takes when all that is remembered is fresh."""
    client = Client(headers=json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        print(json.dumps(min(_queries(client, line.strip()) for _ in range(4))), flush=True)


def _queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.content[:300])
    return len(queries)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(float(sys.argv[2]))
    else:
        count()

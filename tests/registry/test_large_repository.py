"""A repository of 100,000 tags, an artifact of 10,000 referrers, a full recycle bin: what lists and pushes look at.

Not times, which differ: rows, which must not grow with the tables (F-46).
"""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from accounts.services import user_create
from harborlite.errors import Precondition
from projects.services.projects import project_create
from registry import artifacts, queries
from registry.models import Manifest, Repository, Tag
from registry.oci.digest import Digest
from registry.services import artifacts as services
from registry.services import repositories, tags
from tests.plans import looked_at

TAGS, ARTIFACTS, REFERRERS, DELETED = 100_000, 10_000, 10_000, 20_000
PAGE = 100
FEW = 10 * PAGE
"""Rows that may be looked at for a page or one change, whatever the size."""

_MANIFESTS = """
    INSERT INTO registry_manifest (project_id, repository_id, digest, media_type, artifact_type, subject_digest,
        accessory_of, is_listed, annotations, size, content, type, config_media_type, artifact_size, extra_attrs,
        accessory_type, pushed_at)
    SELECT %(project)s, %(repository)s, 'sha256:' || lpad(to_hex(%(first)s + n), 64, '0'),
        'application/vnd.oci.image.manifest.v1+json', %(kind)s, %(subject)s, %(subject)s, %(subject)s::text IS NULL,
        '{}', 2, '{}', 'IMAGE', '', 2, '{}', 'subject.accessory', now() - n * interval '1 second'
    FROM generate_series(1, %(count)s) AS n
"""
_TAGS = """
    WITH manifest AS (
        SELECT id, digest, row_number() OVER (ORDER BY id) - 1 AS n
        FROM registry_manifest WHERE repository_id = %(repository)s AND is_listed
    ), tag AS (
        INSERT INTO registry_tag (repository_id, name, manifest_id)
        SELECT %(repository)s, 'v' || lpad(number::text, 6, '0'), manifest.id
        FROM generate_series(0, %(count)s - 1) AS number JOIN manifest ON manifest.n = number %% %(manifests)s
        RETURNING name, manifest_id
    )
    INSERT INTO registry_tagmove (repository_id, tag, to_digest, actor)
    SELECT %(repository)s, tag.name, manifest.digest, 'filler' FROM tag JOIN manifest ON manifest.id = tag.manifest_id
"""
_DELETED = """
    WITH gone AS (
        INSERT INTO registry_deletion (kind, project_id, repository_id, repository, digest, reason, username, tags,
            facts, artifact_count, size, expires_at)
        SELECT 'artifact', %(project)s, %(repository)s, 'app', 'sha256:' || lpad(to_hex(9000000 + n), 64, '0'),
            'retention', 'filler', '[]', '{}', 1, 2, now() + interval '7 days'
        FROM generate_series(1, %(count)s) AS n
        RETURNING id, digest
    )
    INSERT INTO registry_deletedmanifest (deletion_id, digest, media_type, content, extra_attrs, pushed_at, tags,
        labels)
    SELECT id, digest, 'application/vnd.oci.image.manifest.v1+json', '{}', '{}', now(), '[]', '[]' FROM gone
"""


@pytest.fixture(scope="module")
def large(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Repository]:
    with django_db_blocker.unblock():
        owner = user_create(username="large", password="Correct-Horse-7")
        project = project_create(name="large", owner=owner)
        repository = Repository.objects.get(pk=repositories.repository_ensure(project=project, path="app"))
        mine = {"project": project.pk, "repository": repository.pk}
        subject = f"sha256:{1:064x}"
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0; SET session_replication_role = replica")
            cursor.execute(_MANIFESTS, {**mine, "first": 0, "count": ARTIFACTS, "subject": None, "kind": None})
            referring = {"first": ARTIFACTS, "subject": subject, "kind": "application/spdx+json"}
            cursor.execute(_MANIFESTS, {**mine, **referring, "count": REFERRERS})
            cursor.execute(_TAGS, {**mine, "count": TAGS, "manifests": ARTIFACTS})
            cursor.execute(_DELETED, {**mine, "count": DELETED})
            cursor.execute("UPDATE registry_repository SET artifact_count = %s", [ARTIFACTS])
            cursor.execute("RESET session_replication_role; RESET statement_timeout; ANALYZE")
        yield repository
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE registry_repository, projects_project, registry_deletion CASCADE")
        owner.delete()


@pytest.fixture
def repository(large: Repository, db: None) -> Repository:
    return large


def manifest_of(repository: Repository, number: int) -> Manifest:
    return Manifest.objects.get(repository=repository, digest=f"sha256:{number:064x}")


READS: dict[str, Callable[[Repository], object]] = {
    "the first tags": lambda r: queries.tags_page(r.pk, after="", limit=PAGE),
    "tags in the middle": lambda r: queries.tags_page(r.pk, after="v050000", limit=PAGE),
    "a pull by tag": lambda r: queries.manifest_resolve(r.pk, "v077777"),
    "a pull by digest": lambda r: queries.manifest_resolve(r.pk, Digest.parse(f"sha256:{77:064x}")),
    "artifacts, the latest first": lambda r: list(artifacts.artifacts_in(r).order_by("-pushed_at", "-pk")[:PAGE]),
    "the tags of an artifact": lambda r: list(queries.tags_of(manifest_of(r, 5))[:PAGE]),
    "the history of a tag": lambda r: list(queries.tag_moves(r, "v077777").order_by("-pk")[:PAGE]),
    "the history of all": lambda r: list(queries.tag_moves(r).order_by("-pk")[:PAGE]),
    "the recycle bin": lambda r: list(queries.deletions_of(r.project).order_by("-pk")[:PAGE]),
}
CHANGES: dict[str, Callable[[Repository], object]] = {
    "a tag moves": lambda r: tags.tags_set(
        repository_id=r.pk, manifest_id=manifest_of(r, 9).pk, digest=f"sha256:{9:064x}", names=["v000003"], actor="me"
    ),
    "a new tag": lambda r: tags.tag_create(repository=r, digest=f"sha256:{9:064x}", name="new", actor="me"),
    "a tag goes": lambda r: tags.tag_delete(repository_id=r.pk, name="v000003", actor="me"),
    "an artifact goes": lambda r: services.artifact_delete(repository=r, digest=f"sha256:{7:064x}", actor="me"),
}


@pytest.mark.parametrize("name", READS)
def test_reads_look_at_few_rows(repository: Repository, name: str) -> None:
    rows, found = looked_at(lambda: READS[name](repository))
    assert found
    assert rows <= FEW, f"{rows} rows are looked at"


@pytest.mark.parametrize("name", CHANGES)
def test_changes_look_at_few_rows(repository: Repository, name: str) -> None:
    before = Tag.objects.filter(repository=repository).count()
    rows, _ = looked_at(lambda: CHANGES[name](repository))
    assert rows <= FEW, f"{rows} rows are looked at"
    assert before - Tag.objects.filter(repository=repository).count() in (-1, 0, 1, TAGS // ARTIFACTS)


def test_referrers_are_read_a_page_at_a_time(repository: Repository) -> None:
    subject = Digest.parse(f"sha256:{1:064x}")

    def page(after: int) -> tuple[list[Manifest], bool]:
        found, has_more = queries.referrers_page(
            repository.pk, subject, artifact_type=None, after=after, limit=PAGE, max_bytes=1 << 22
        )
        return list(found), has_more

    rows, (first, has_more) = looked_at(lambda: page(0))
    assert (len(first), has_more) == (PAGE, True)
    assert rows <= FEW
    rows, (second, _) = looked_at(lambda: page(first[-1].pk))
    assert second[0].pk > first[-1].pk
    assert rows <= FEW


def test_what_hangs_together_beyond_measure_is_refused_at_once(repository: Repository) -> None:
    """10,000 accessories go with no artifact in one transaction."""

    def delete() -> None:
        with pytest.raises(Precondition, match="more than 5000"):
            services.artifact_delete(repository=repository, digest=f"sha256:{1:064x}", actor="me")

    rows, _ = looked_at(delete)
    assert rows <= 2 * 5000 + FEW

"""Repositories with as many artifacts as a test wants, written straight into the database."""

import hashlib

from django.db import connection

from registry.models import Blob, Manifest, ProjectBlob, Repository, RepositoryBlob

_REFERENCES = """
    INSERT INTO registry_manifestreference (manifest_id, kind, position, digest, media_type, size, link_id, shown)
    SELECT manifest.id, 'layer', position, 'sha256:0', 'layer', 1, link.id, '{}'
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS n FROM registry_manifest WHERE repository_id = %(repository)s
    ) AS manifest
    CROSS JOIN generate_series(1, %(layers)s) AS position
    JOIN (
        SELECT id, row_number() OVER (ORDER BY id) AS n
        FROM registry_repositoryblob WHERE repository_id = %(repository)s
    ) AS link ON link.n = 1 + (manifest.n * position) %% %(blobs)s
"""
_TAGS = """
    INSERT INTO registry_tag (repository_id, name, manifest_id)
    SELECT repository_id, 'v' || row_number() OVER (ORDER BY id) - 1, id
    FROM registry_manifest WHERE repository_id = %(repository)s
"""
_MOVES = """
    INSERT INTO registry_tagmove (repository_id, tag, to_digest, actor)
    SELECT tag.repository_id, tag.name, manifest.digest, 'filler'
    FROM registry_tag AS tag JOIN registry_manifest AS manifest ON manifest.id = tag.manifest_id
    WHERE tag.repository_id = %(repository)s
"""


def fill(repository: Repository, artifacts: int, *, blobs: int = 10, layers: int = 1) -> None:
    """The empty repository holds so many artifacts, each tagged and of so many layers, which are `blobs` in all."""
    mine = {"repository_id": repository.pk}
    keys = [hashlib.md5(f"{repository.pk}-{number}".encode()).hexdigest() for number in range(blobs)]
    made = Blob.objects.bulk_create(
        [Blob(digest=f"sha256:{key}{key}", size=1000, storage_key=key) for key in keys], batch_size=1000
    )
    holdings = ProjectBlob.objects.bulk_create(
        [ProjectBlob(project_id=repository.project_id, blob=blob, size=blob.size) for blob in made], batch_size=1000
    )
    RepositoryBlob.objects.bulk_create(
        [
            RepositoryBlob(blob_id=holding.blob_id, holding=holding, leased_until=repository.created_at, **mine)
            for holding in holdings
        ],
        batch_size=1000,
    )
    Manifest.objects.bulk_create(
        [
            Manifest(
                project_id=repository.project_id,
                digest=f"sha256:{number:064x}",
                media_type="application/vnd.oci.image.manifest.v1+json",
                size=2,
                content=b"{}",
                type="IMAGE",
                **mine,
            )
            for number in range(artifacts)
        ],
        batch_size=1000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE registry_manifest, registry_repositoryblob")  # else they pass for empty tables
        for statement in (_REFERENCES, _TAGS, _MOVES):
            cursor.execute(statement, {"repository": repository.pk, "layers": layers, "blobs": blobs})
    Repository.objects.filter(pk=repository.pk).update(artifact_count=artifacts)

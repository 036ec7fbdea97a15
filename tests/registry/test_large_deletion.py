"""A large repository goes into the bin and comes back in seconds, by statements that are short."""

import time

import pytest
from django.db import connection

from registry.models import Blob, Deletion, Manifest, ManifestReference, ProjectBlob, Repository, RepositoryBlob, Tag
from registry.oci.manifest import parse
from registry.services import repositories, restorations
from tests.images import OCI_CONFIG, OCI_IMAGE, OCI_LAYER, dump, image_manifest, sha256
from tests.registry.bin.snapshot import content
from tests.registry.gc.shelf import Shelf

ARTIFACTS = 2_000
SECONDS = 60  # what a very busy machine may take

_REFERENCES = """
    INSERT INTO registry_manifestreference (manifest_id, kind, position, digest, media_type, size, link_id, shown)
    SELECT manifest.id, part.kind, part.position - 1, part.digest, part.type, part.size, link.id, '{}'
    FROM registry_manifest AS manifest
    CROSS JOIN LATERAL (
        SELECT CASE ordinality WHEN 1 THEN 'config' ELSE 'layer' END AS kind, ordinality AS position,
            item ->> 'digest' AS digest, item ->> 'mediaType' AS type, (item ->> 'size')::bigint AS size
        FROM jsonb_array_elements(
            jsonb_build_array(convert_from(manifest.content, 'utf8')::jsonb -> 'config')
            || (convert_from(manifest.content, 'utf8')::jsonb -> 'layers')
        ) WITH ORDINALITY AS parts (item, ordinality)
    ) AS part
    JOIN registry_blob AS blob ON blob.digest = part.digest
    JOIN registry_repositoryblob AS link ON link.blob_id = blob.id AND link.repository_id = manifest.repository_id
"""


def filled(shelf: Shelf, count: int) -> None:
    """So many images of a config and two layers, of which one is in all; each has a tag."""
    contents = [b"shared", *(b"%d" % number for number in range(2 * count))]
    rows = [Blob(digest=sha256(each), size=len(each), storage_key=f"{at:032x}") for at, each in enumerate(contents)]
    made = Blob.objects.bulk_create(rows, batch_size=1000)
    holdings = ProjectBlob.objects.bulk_create(
        [ProjectBlob(project=shelf.project, blob=blob, size=blob.size) for blob in made], batch_size=1000
    )
    mine = {"repository": shelf.repository}
    RepositoryBlob.objects.bulk_create(
        [RepositoryBlob(**mine, blob_id=h.blob_id, holding=h, leased_until="2000-01-01T00:00:00Z") for h in holdings],
        batch_size=1000,
    )
    parts = [{"digest": blob.digest, "size": blob.size} for blob in made]
    documents = [
        image_manifest(
            {"mediaType": OCI_CONFIG, **parts[2 * number + 1]},
            [{"mediaType": OCI_LAYER, **parts[0]}, {"mediaType": OCI_LAYER, **parts[2 * number + 2]}],
        )
        for number in range(count)
    ]
    manifests = [
        Manifest(
            project=shelf.project,
            **mine,
            digest=sha256(each),
            media_type=OCI_IMAGE,
            config_media_type=OCI_CONFIG,
            artifact_type=parse(each, OCI_IMAGE).artifact_type,
            type="IMAGE",
            content=each,
            size=len(each),
            artifact_size=len(each) + sum(part["size"] for part in (document["config"], *document["layers"])),
        )
        for each, document in ((dump(document), document) for document in documents)
    ]
    Manifest.objects.bulk_create(manifests, batch_size=1000)
    Tag.objects.bulk_create(
        [Tag(**mine, manifest=row, name=f"v{at}") for at, row in enumerate(manifests)], batch_size=1000
    )
    Repository.objects.filter(pk=shelf.repository.pk).update(artifact_count=count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # else the next one is planned as if there were nothing
        cursor.execute(_REFERENCES)
        cursor.execute(
            "INSERT INTO projects_quotaentry (project_id, delta) SELECT project_id, sum(size) "
            "FROM registry_projectblob GROUP BY project_id"
        )
        cursor.execute(
            "INSERT INTO registry_tagmove (repository_id, tag, to_digest, actor) SELECT tag.repository_id, name, "
            "digest, 'filler' FROM registry_tag AS tag JOIN registry_manifest AS manifest ON manifest.id = manifest_id"
        )


@pytest.mark.django_db(transaction=True)
def test_a_large_repository_comes_back_as_it_was() -> None:
    shelf = Shelf()
    filled(shelf, ARTIFACTS)
    assert ManifestReference.objects.count() == 3 * ARTIFACTS
    before = content(shelf.repository)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '5s'")
    try:
        began = time.monotonic()
        repositories.repository_delete(repository=shelf.repository)
        deletion = Deletion.objects.get()
        restored = restorations.deletion_restore(project=shelf.project, deletion_id=deletion.pk, actor="restorer")
        ended = time.monotonic()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '15s'")
    assert ended - began < SECONDS
    assert (restored.artifacts, len(restored.tags), restored.taken) == (ARTIFACTS, ARTIFACTS, [])
    assert content(Repository.objects.get()) == before

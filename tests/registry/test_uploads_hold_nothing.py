"""While bytes move, a session holds neither a transaction nor a database connection."""

from collections.abc import Iterator

import pytest
from django.db import connection

from accounts.services import user_create
from harborlite.database.base import pool_of
from projects.services.projects import project_create
from registry.models import Upload
from registry.oci.digest import Digest
from registry.services import repositories, uploads
from registry.services.uploads import Content

pytestmark = pytest.mark.django_db(transaction=True)


def in_use() -> int:
    return pool_of(connection.get_connection_params()).in_use


@pytest.fixture
def upload(transactional_db: None) -> Upload:
    owner = user_create(username="mover", password="Correct-Horse-7")
    project = project_create(name="moving", owner=owner)
    repository_id = repositories.repository_ensure(project=project, path="app")
    return uploads.upload_start(repository_id=repository_id, actor="mover")


def watched(seen: list[int]) -> Iterator[bytes]:
    for chunk in (b"some", b" bytes"):
        seen.append(in_use())
        yield chunk


def test_no_connection_is_held_while_a_chunk_arrives(upload: Upload) -> None:
    seen: list[int] = []
    assert in_use() == 1
    uploads.upload_append(upload=upload, content=Content(watched(seen)))
    assert seen == [0, 0]


def test_no_connection_is_held_while_the_last_bytes_arrive(upload: Upload) -> None:
    seen: list[int] = []
    uploads.upload_finish(upload=upload, digest=Digest.of(b"some bytes"), content=Content(watched(seen)))
    assert seen == [0, 0]

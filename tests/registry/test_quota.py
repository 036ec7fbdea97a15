"""A project is charged for every blob that its repositories link, once, whatever comes and goes at the same moment."""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.constraints import retried
from harborlite.actors import OPERATOR
from harborlite.errors import BlobUnknown, HarborliteError, QuotaExceeded
from projects import quota
from projects.models import Project, Quota, QuotaEntry
from projects.services import quotas
from projects.services.projects import project_create
from registry import fsck
from registry.models import Blob, ProjectBlob, RepositoryBlob, Upload
from registry.oci.digest import Digest
from registry.quota import Room
from registry.services import blobs, repositories, uploads
from registry.services.uploads import Content
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)


def project(name: str = "vault", hard: int | None = None) -> Project:
    return project_create(name=name, owner=OPERATOR, storage_limit=hard)


def repository(owner: Project, path: str = "app") -> int:
    return repositories.repository_ensure(project=owner, path=path)


def digest_of(number: int) -> Digest:
    return Digest.of(str(number).encode())


def blob(number: int, size: int) -> Blob:
    """A blob that no repository holds."""
    with transaction.atomic():
        made = blobs.blob_bind(digest=digest_of(number), size=size, storage_key=uuid.uuid4().hex)
    assert made is not None
    return made


@retried
def link(repository_id: int, *held: Blob) -> None:
    try:
        with transaction.atomic(durable=True):
            blobs.blobs_link(repository_id=repository_id, blob_ids=[one.pk for one in held])
    except IntegrityError:  # the repository was deleted before the commit
        raise BlobUnknown() from None


def unlink(repository_id: int, number: int) -> None:
    blobs.blob_unlink(repository_id=repository_id, digest=digest_of(number))


def used(owner: Project) -> int:
    """What the project is charged; it is what a recount of its links finds."""
    held = Blob.objects.filter(links__repository__project=owner).distinct()
    recount = sum(size for _, size in held.values_list("pk", "size"))
    assert quota.of(owner.pk).used == recount
    assert [str(violation) for violation in fsck.check() if violation.kind == "quota"] == []
    return recount


def test_a_blob_is_charged_once_a_project() -> None:
    vault, other = project(), project("other")
    layer = blob(1, 100)
    for one in (repository(vault), repository(vault, "second"), repository(other)):
        link(one, layer)
        link(one, layer)
    assert (used(vault), used(other)) == (100, 100)


def test_the_last_repository_to_let_go_of_it_releases_it() -> None:
    vault = project()
    first, second = repository(vault), repository(vault, "second")
    layer = blob(1, 100)
    link(first, layer)
    link(second, layer)
    unlink(first, 1)
    assert used(vault) == 100
    unlink(second, 1)
    assert used(vault) == 0
    with pytest.raises(BlobUnknown):
        unlink(second, 1)
    link(first, layer)
    assert used(vault) == 100


def test_several_are_charged_at_once_and_only_what_is_new() -> None:
    vault = project(hard=1000)
    target = repository(vault)
    layers = [blob(number, 100) for number in range(8)]
    link(repository(vault, "second"), *layers[:3])
    link(target, *layers, layers[0])
    assert used(vault) == 800
    assert RepositoryBlob.objects.filter(repository=target).count() == 8


def test_what_does_not_fit_changes_nothing() -> None:
    vault = project(hard=250)
    target = repository(vault)
    layers = [blob(number, 100) for number in range(3)]
    with pytest.raises(QuotaExceeded):
        link(target, *layers)
    assert used(vault) == 0
    assert not RepositoryBlob.objects.exists()
    link(target, *layers[:2])
    assert used(vault) == 200


def test_what_is_there_may_be_linked_again_in_a_full_project() -> None:
    vault = project(hard=100)
    layer = blob(1, 100)
    link(repository(vault), layer)
    link(repository(vault, "second"), layer)
    quotas.quota_update(quota_id=vault.quota.pk, hard=50)
    link(repository(vault, "third"), layer)
    assert used(vault) == 100


def test_a_repository_that_is_gone_is_charged_nothing() -> None:
    vault = project()
    with pytest.raises(BlobUnknown):
        link(10**9, blob(1, 100))
    assert used(vault) == 0


def test_a_blob_that_is_gone_is_not_linked() -> None:
    vault, layer = project(), blob(1, 100)
    gone = Blob(pk=10**9)
    with pytest.raises(BlobUnknown):
        link(repository(vault), layer, gone)
    assert used(vault) == 0


@pytest.mark.parametrize("hard", [None, 10_000])
def test_linking_asks_two_more_statements(hard: int | None) -> None:
    """Beside the one that links: one holds what the project holds, one charges; more only where there is a limit."""
    vault = project(hard=hard)
    target, layer = repository(vault), blob(1, 100)
    counts = []
    for _ in range(2):
        with transaction.atomic(), CaptureQueriesContext(connection) as captured:
            blobs.blobs_link(repository_id=target, blob_ids=[layer.pk])
        counts.append(len(captured))
    assert counts == [3 if hard is None else 5, 3]


# At once.


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each returned or the type of what it raised; none was told of anything but our own errors."""
    results = together(*calls)
    assert all(one is None or (isinstance(one, type) and issubclass(one, HarborliteError)) for one in results), results
    return results


def test_fifty_that_link_the_same_blob_are_charged_once() -> None:
    vault, layer = project(hard=150), blob(1, 100)
    targets = [repository(vault, f"app{number % 5}") for number in range(20)]
    assert at_once(*(partial(link, target, layer) for target in targets)) == [None] * 20
    assert used(vault) == 100
    assert ProjectBlob.objects.count() == 1


def test_of_two_that_let_go_at_once_one_releases_it() -> None:
    vault = project()
    first, second = repository(vault), repository(vault, "second")
    for number in range(10):
        layer = blob(number, 100)
        link(first, layer)
        link(second, layer)
        assert at_once(partial(unlink, first, number), partial(unlink, second, number)) == [None, None]
        assert used(vault) == 0


def test_linked_while_it_is_let_go() -> None:
    vault = project()
    first, second, third = (repository(vault, path) for path in ("first", "second", "third"))
    for number in range(15):
        layer = blob(number, 100)
        link(first, layer)
        calls = [partial(unlink, first, number), partial(link, second, layer), partial(link, third, layer)]
        assert at_once(*calls) == [None] * 3
        assert used(vault) == 100 * (number + 1)


def test_several_that_overlap_don_t_wait_for_each_other() -> None:
    vault = project(hard=10_000)
    layers = [blob(number, 10) for number in range(12)]
    targets = [repository(vault, f"app{number}") for number in range(4)]
    chance = random.Random(5)
    calls = [partial(link, target, *chance.sample(layers, 8)) for target in targets for _ in range(3)]
    assert at_once(*calls) == [None] * 12
    used(vault)


def test_no_more_than_the_limit_whoever_comes_together() -> None:
    vault = project(hard=550)
    layers = [blob(number, 100) for number in range(20)]
    target = repository(vault)
    results = at_once(*(partial(link, target, layer) for layer in layers))
    assert results.count(None) == 5
    assert results.count(QuotaExceeded) == 15
    assert used(vault) == 500


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hard", [None, 2500])
def test_the_ledger_is_the_recount_after_anything_at_once(seed: int, hard: int | None) -> None:
    """Pushes, mounts, unlinks, deleted repositories and folds, in two projects, by six at once."""
    owners = [project("vault", hard), project("other", hard)]
    layers = [blob(number, 100 * (number + 1)) for number in range(8)]
    paths = ("a", "b", "c")

    def delete(owner: Project, path: str) -> None:
        for held in owner.repositories.filter(name=path).select_related("project"):
            repositories.repository_delete(repository=held)

    def play(seed: str) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            owner, path, number = chance.choice(owners), chance.choice(paths), chance.randrange(len(layers))
            target = repository(owner, path)
            acts: list[Callable[[], object]] = [
                partial(link, target, layers[number]),
                partial(link, target, *chance.sample(layers, 3)),
                partial(unlink, target, number),
                partial(delete, owner, path),
                quotas.quotas_fold,
            ]
            with suppress(HarborliteError):
                chance.choices(acts, [3, 1, 2, 1, 1])[0]()

    assert at_once(*(partial(play, f"{seed} {number}") for number in range(6))) == [None] * 6
    for owner in owners:
        assert hard is None or used(owner) <= hard
        quotas.quotas_fold()
        used(owner)


# Before bytes are read.


def test_room_refuses_only_what_can_t_succeed() -> None:
    vault = project(hard=300)
    link(repository(vault), blob(1, 200))
    usage = quota.of(vault.pk)
    Room(vault.pk, usage).admit(100)
    Room(vault.pk, usage).admit(200)  # it may be the blob that is there
    with pytest.raises(QuotaExceeded):
        Room(vault.pk, usage).admit(201)
    Room(vault.pk, usage, digest_of(1)).admit(200)
    Room(vault.pk, usage, digest_of(2)).admit(100)
    with pytest.raises(QuotaExceeded):
        Room(vault.pk, usage, digest_of(2)).admit(101)


def start(owner: Project) -> Upload:
    return uploads.upload_start(repository_id=repository(owner), actor="pusher")


def test_bytes_that_come_unannounced_are_refused_when_they_are_too_many() -> None:
    vault, seen = project(hard=300), []

    def chunks() -> Iterator[bytes]:
        for number in range(10):
            seen.append(number)
            yield b"x" * 100

    upload = start(vault)
    with pytest.raises(QuotaExceeded):
        uploads.upload_append(upload=upload, content=Content(chunks()), room=Room(vault.pk, quota.of(vault.pk)))
    assert seen == [0, 1, 2, 3]
    assert not Upload.objects.exists()


def test_what_is_refused_at_the_commit_is_given_up() -> None:
    """Others were faster since there was room."""
    vault = project(hard=300)
    content, room = b"y" * 200, Room(vault.pk, quota.of(vault.pk))
    upload = start(vault)
    link(repository(vault), blob(1, 200))
    with pytest.raises(QuotaExceeded):
        uploads.upload_finish(upload=upload, digest=Digest.of(content), content=Content([content]), room=room)
    assert not Upload.objects.exists()
    assert not Blob.objects.filter(digest=str(Digest.of(content))).exists()
    assert used(vault) == 200


# The check that finds what these tests rely on.


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda: ProjectBlob.objects.filter(blob__digest=digest_of(1)).update(size=5), "is charged 5 bytes for it"),
        (lambda: RepositoryBlob.objects.filter(blob__digest=digest_of(1)).delete(), "does not link it"),
        (lambda: QuotaEntry.objects.all().delete(), "it is charged 0 bytes and holds 300"),
        (lambda: Quota.objects.all().delete(), "it has none"),
        (
            lambda: RepositoryBlob.objects.filter(blob__digest=digest_of(1)).update(
                holding=ProjectBlob.objects.get(blob__digest=digest_of(2))
            ),
            "has something else charged for it",
        ),
    ],
)
def test_the_check_finds_what_is_charged_wrongly(harm: Callable[[], object], problem: str) -> None:
    vault = project()
    link(repository(vault), blob(1, 100), blob(2, 200))
    assert used(vault) == 300
    harm()
    assert problem in "\n".join(str(violation) for violation in fsck.check() if violation.kind == "quota")

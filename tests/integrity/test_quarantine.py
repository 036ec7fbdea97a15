"""Bytes that were damaged behind the server's back: found, not given out, and repaired by the next push."""

from collections.abc import Callable

import pytest
import requests

from tests.crash.scene import Ledger, assert_blob, image_of
from tests.images import sha256, unique
from tests.integrity.conftest import Place
from tests.ociclient import Client
from tests.product import wait_for

DAMAGE = ["corrupt", "truncate", "lose"]


@pytest.fixture
def damaged(place: Place) -> Callable[[str], tuple[Client, str, bytes]]:
    """Makes an image whose layer is damaged so: a client, the repository and the layer."""

    def make(how: str) -> tuple[Client, str, bytes]:
        client, repository, layer = place.world.player(), place.world.repository(), unique(300_000)
        Ledger(client).push_image(repository, "latest", unique(), layer)
        place.keeper(how, digest=sha256(layer))
        return client, repository, layer

    return make


Damaged = Callable[[str], tuple[Client, str, bytes]]


@pytest.mark.parametrize("how", DAMAGE)
def test_fsck_repairs_by_quarantine_and_a_push_by_new_bytes(place: Place, damaged: Damaged, how: str) -> None:
    client, repository, layer = damaged(how)
    digest = sha256(layer)
    found = place.product.command("fsck", "--deep", "--repair")
    assert (found.returncode, found.stdout.count(digest)) == (1, 1), found
    assert place.keeper("quarantined") == [digest]
    assert client.head_blob(repository, digest).status == 404
    refused = client.get_blob(repository, digest)
    assert (refused.status, refused.codes) == (404, ["BLOB_UNKNOWN"])

    client.push_blob(repository, layer)
    assert_blob(client, repository, digest, layer)
    assert place.keeper("quarantined") == []
    assert place.keeper("violations") == []
    client.pull(repository, "latest")


def test_a_worker_scrubs_when_it_is_asked(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("corrupt")
    assert place.product.command("scrub", "--all").returncode == 0
    wait_for("the scrub", lambda: place.keeper("quarantined") == [sha256(layer)])
    assert client.get_blob(repository, sha256(layer)).status == 404
    client.push_blob(repository, layer)
    client.pull(repository, "latest")


def test_quarantined_bytes_are_neither_mounted_nor_referenced(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("corrupt")
    digest, config = sha256(layer), unique()
    assert place.product.command("fsck", "--deep", "--repair").returncode == 1
    elsewhere = place.world.repository()
    mounted = client.mount(elsewhere, digest, repository)
    assert mounted.status == 202, mounted  # a session: the client is to send the bytes

    client.push_blob(repository, config)
    refused = client.push_manifest(repository, "again", image_of(config, layer))
    assert (refused.status, refused.codes) == (404, ["MANIFEST_BLOB_UNKNOWN"]), refused
    # What was there before is not touched: it waits for its bytes.
    assert client.get_manifest(repository, "latest").status == 200

    client.push_blob(elsewhere, layer)  # into one repository, and it is repaired in all
    assert client.push_manifest(repository, "again", image_of(config, layer)).status == 201
    client.pull(repository, "latest")
    client.pull(repository, "again")


def test_a_pull_that_finds_nothing_lets_the_next_push_repair(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("lose")
    digest = sha256(layer)
    assert client.head_blob(repository, digest).status == 200
    assert client.get_blob(repository, digest).status == 404
    assert client.head_blob(repository, digest).status == 404
    client.push_blob(repository, layer)
    assert_blob(client, repository, digest, layer)
    assert place.keeper("violations") == []


def test_a_pull_of_cut_bytes_breaks_off(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("truncate")
    with pytest.raises(requests.RequestException):
        client.get_blob(repository, sha256(layer))
    client.push_blob(repository, layer)


def test_a_push_without_a_question_repairs_what_nobody_knew_of(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("truncate")
    client.push_blob(repository, layer)
    assert_blob(client, repository, sha256(layer), layer)
    assert place.keeper("violations") == []


def test_bytes_that_come_back_are_given_out_again(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("lose")
    digest = sha256(layer)
    assert client.get_blob(repository, digest).status == 404
    place.keeper("put", key=place.keeper("key_of", digest=digest), content=layer.hex())
    mended = place.product.command("fsck", "--deep", "--repair")
    assert (mended.returncode, mended.stdout.count("repaired")) == (0, 1), mended
    assert_blob(client, repository, digest, layer)
    assert place.keeper("violations") == []


def test_both_are_in_the_audit_trail(place: Place, damaged: Damaged) -> None:
    client, repository, layer = damaged("lose")
    client.get_blob(repository, sha256(layer))
    client.push_blob(repository, layer)
    admin = place.world.admin_account
    answer = requests.get(
        f"{place.product.url}/api/v2.0/auditlog-exts",
        params={"q": f"resource={sha256(layer)}"},
        auth=(admin.login, admin.secret),
        timeout=10,
    )
    events = {event["operation"]: event["operation_description"] for event in answer.json()}
    assert set(events) == {"quarantine", "release"}
    assert "missing from storage" in events["quarantine"]

"""How many questions hot requests ask the database: a number that must not grow by accident."""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.authentication import actor_of
from accounts.models import User
from accounts.services import token_issue, user_create
from harborlite.actors import ANONYMOUS
from projects.models import Project
from projects.services.projects import project_create
from registry import access, tokens
from registry.models import Repository
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.services import repositories
from registry.services.blobs import blob_bind, blobs_link
from registry.services.manifests import manifest_put

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "counted/app"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"


class Shop:
    """A private project with one image, and a token to pull and push it."""

    def __init__(self) -> None:
        self.user = user_create(username="counter", password="Correct-Horse-7")
        self.project = project_create(name="counted", owner=self.user)
        self.repository_id = repositories.repository_ensure(project=self.project, path="app")
        self.blob = self._blob(b"{}")
        content = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_IMAGE,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": str(self.blob),
                    "size": 2,
                },
                "layers": [],
            }
        ).encode()
        manifest_put(
            project_id=self.project.pk,
            repository_id=self.repository_id,
            name=NAME,
            content=content,
            digest=Digest.of(content),
            parsed=parse(content, OCI_IMAGE),
            names=["latest"],
            actor="counter",
            actor_id=self.user.pk,
        )
        actor = actor_of(User.objects.get(pk=self.user.pk))
        self.token = tokens.issue(actor, access.grant(actor, {NAME: {"pull", "push"}}))

    def _blob(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        with transaction.atomic():
            blob = blob_bind(digest=digest, size=len(content), storage_key=uuid.uuid4().hex)
            assert blob is not None
            blobs_link(repository_id=self.repository_id, blob_ids=[blob.pk])
        return digest

    def count(self, method: str, path: str, authorization: str | None = None, status: int = 200) -> int:
        client = Client(HTTP_HOST="localhost", headers={"Authorization": authorization or f"Bearer {self.token}"})
        with CaptureQueriesContext(connection) as captured:
            response = client.generic(method, path)
        assert response.status_code == status, response.content
        return len(captured)


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return Shop()


@pytest.mark.parametrize(
    ("method", "path", "queries"),
    [
        ("GET", lambda shop: f"/v2/{NAME}/manifests/latest", 2),
        ("HEAD", lambda shop: f"/v2/{NAME}/manifests/latest", 2),
        ("HEAD", lambda shop: f"/v2/{NAME}/blobs/{shop.blob}", 2),
        ("GET", lambda shop: f"/v2/{NAME}/tags/list", 2),
        ("GET", lambda shop: f"/v2/{NAME}/referrers/{shop.blob}", 2),
    ],
)
def test_a_read_asks_who_and_where_once_and_what_once(
    shop: Shop, method: str, path: Callable[[Shop], str], queries: int
) -> None:
    assert shop.count(method, path(shop)) == queries


def test_a_token_for_many_repositories_asks_as_much_as_for_one(shop: Shop) -> None:
    _, secret = token_issue(user=shop.user, name="ci")
    basic = "Basic " + b64encode(f"counter:{secret}".encode()).decode()
    shop.count("GET", f"/service/token?scope=repository:{NAME}:pull", basic)  # writes down that the secret is in use
    one = shop.count("GET", f"/service/token?scope=repository:{NAME}:pull", basic)
    scopes = "&".join(f"scope=repository:counted/app{number}:pull,push" for number in range(50))
    assert one <= 3
    assert shop.count("GET", f"/service/token?{scopes}", basic) == one


def test_an_anonymous_token_asks_once(transactional_db: None) -> None:
    assert Project.objects.count() == Repository.objects.count() == 0
    with CaptureQueriesContext(connection) as captured:
        access.grant(ANONYMOUS, {"library/app": {"pull"}})
    assert len(captured) == 1

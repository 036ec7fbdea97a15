"""How many questions the lists of repositories and tags ask: as many for a full page as for a short one."""

from base64 import b64encode
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.services import token_issue, user_create
from projects.models import Project
from projects.services.projects import project_create
from registry.models import Repository
from registry.services import repositories
from tests.registry.filling import fill

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v2.0"


class Shop:
    """A person's projects, and requests of that person."""

    def __init__(self) -> None:
        self.user = user_create(username="counter", password=None, is_admin=True)
        self.project = project_create(name="counted", owner=self.user)
        self.repository = self.made("app")
        fill(self.repository, 1)
        self.secret = token_issue(user=self.user, name="ci")[1]

    def made(self, path: str, project: Project | None = None) -> Repository:
        pk = repositories.repository_ensure(project=project or self.project, path=path)
        return Repository.objects.select_related("project").get(pk=pk)

    def count(self, path: str, method: str = "GET", status: int = 200) -> int:
        basic = b64encode(f"counter:{self.secret}".encode()).decode()
        client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Basic {basic}"})
        with CaptureQueriesContext(connection) as captured:
            response = client.generic(method, f"{API}{path}")
        assert response.status_code == status, response.content
        return len(captured)


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    made = Shop()
    made.count("/statistics")  # writes down that the secret is in use, and reads what is remembered for a while
    return made


def more_repositories(shop: Shop) -> None:
    other = project_create(name="other", is_public=True, owner=shop.user)
    for number in range(30):
        shop.made(f"more{number}", other if number % 2 else shop.project)


def more_tags(shop: Shop) -> None:
    repository, manifest = shop.repository, shop.repository.manifests.get()
    for number in range(99):
        repository.tags.create(name=f"more{number}", manifest=manifest)
        repository.tag_moves.create(tag=f"more{number % 2}", to_digest=manifest.digest, actor="counter")


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/repositories?page_size=100", more_repositories),
        ("/projects/counted/repositories?page_size=100", more_repositories),
        ("/search?q=e", more_repositories),
        ("/statistics", more_repositories),
        ("/projects/counted/repositories/app/artifacts/v0/tags?page_size=100&with_immutable_status=true", more_tags),
        ("/projects/counted/repositories/app/history?page_size=100", more_tags),
        ("/projects/counted/repositories/app/tags/v0/history?page_size=100", more_tags),
    ],
)
def test_a_full_page_asks_as_much_as_a_short_one(shop: Shop, path: str, more: Callable[[Shop], None]) -> None:
    before = shop.count(path)
    more(shop)
    after = shop.count(path)
    assert after <= before + 1, "one more when the rows must be counted"
    assert after <= 8


def test_an_old_name_asks_as_much_as_the_new_one(shop: Shop) -> None:
    repositories.repository_rename(repository=shop.repository, path="new")
    asked = shop.count("/projects/counted/repositories/new")
    assert shop.count("/projects/counted/repositories/app") == asked
    assert shop.count("/projects/counted/repositories/absent", status=404) < asked

"""Pages cost the same whatever the number of rows."""

from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.services import user_create
from harborlite.actors import OPERATOR
from projects.models import Project
from projects.permissions import Permission
from projects.roles import Role
from projects.services.members import member_add
from projects.services.projects import project_create
from projects.services.robots import robot_create
from registry.models import Repository
from registry.services import repositories
from tests.registry.filling import fill

PASSWORD = "Correct-Horse-7"

pytestmark = pytest.mark.django_db(transaction=True)


class Visitor:
    """A signed-in administrator with a project of one repository."""

    def __init__(self) -> None:
        self.user = user_create(username="visitor", password=PASSWORD, is_admin=True)
        self.project = project_create(name="seen", owner=self.user)
        fill(self.repository("app"), 1)
        self.client = Client(HTTP_HOST="localhost")
        form = urlencode({"principal": "visitor", "password": PASSWORD})
        self.client.post("/login", form, content_type="application/x-www-form-urlencoded")

    def repository(self, path: str, project: Project | None = None) -> Repository:
        pk = repositories.repository_ensure(project=project or self.project, path=path)
        return Repository.objects.select_related("project").get(pk=pk)

    def count(self, path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            response = self.client.get(path)
        assert response.status_code == 200
        return len(captured)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/projects", 8),
        ("/projects/seen", 8),
        ("/projects/seen/-/members", 8),
        ("/projects/seen/-/robots", 10),
        ("/projects/seen/app/-/tags", 9),
        ("/projects/seen/app/-/history", 9),
    ],
)
def test_full_page_asks_as_much_as_a_short_one(path: str, most: int) -> None:
    visitor = Visitor()
    carried = Permission("project", "seen", frozenset({"repository:pull"}))
    robot_create(creator=OPERATOR, name="first", project=visitor.project, permissions=[carried])
    before = visitor.count(path)
    for number in range(30):
        visitor.repository("more", project_create(name=f"more{number}", owner=visitor.user))
        visitor.repository(f"more{number}")
    app = Repository.objects.get(name="app")
    manifest = app.manifests.get()
    for number in range(30):
        app.tags.create(name=f"more{number}", manifest=manifest)
        app.tag_moves.create(tag=f"more{number}", to_digest=manifest.digest, actor="visitor")
    for number in range(30):
        person = user_create(username=f"more{number}", password=PASSWORD)
        member_add(project=visitor.project, subject=person, role=Role.GUEST)
        robot_create(creator=OPERATOR, name=f"more{number}", project=visitor.project, permissions=[carried])
    after = visitor.count(path)
    assert after <= before + 1, "one more when the rows must be counted"
    assert after <= most

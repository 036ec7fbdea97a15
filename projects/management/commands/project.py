"""`harborlite project`: projects."""

from typing import Any

from accounts.commands import AddVerb, NounCommand
from accounts.models import User
from accounts.queries import user_get
from harborlite.actors import OPERATOR, Actor
from projects.queries import project_get, projects_list
from projects.services import projects as services


class Command(NounCommand):
    help = "Projects: create, list, make public or private, delete."

    def add_verbs(self, add: AddVerb) -> None:
        create = add("create", self.create, "Create a project.")
        create.add_argument("name")
        create.add_argument("--public", action="store_true", help="everybody may pull from it")
        create.add_argument("--owner", help="whose it is; without it, the oldest administrator's")
        add("list", self.list, "List projects.")
        for verb, run, text in (
            ("public", self.public, "Let everybody pull from a project."),
            ("private", self.private, "Let members only pull from a project."),
            ("delete", self.delete, "Delete a project that has no repositories."),
        ):
            add(verb, run, text).add_argument("name")

    def create(self, name: str, public: bool, owner: str | None, **_options: Any) -> None:
        maker: Actor | User = user_get(owner) if owner else OPERATOR
        project = services.project_create(name=name, is_public=public, owner=maker)
        self.say(f"created project {project.name}, owned by {project.owner or 'nobody'}")

    def list(self, **_options: Any) -> None:
        self.show(
            ("name", "visibility", "owner", "created"),
            (
                (
                    project.name,
                    "public" if project.is_public else "private",
                    project.owner or "-",
                    f"{project.created_at:%Y-%m-%d}",
                )
                for project in projects_list()
            ),
        )

    def public(self, name: str, **_options: Any) -> None:
        services.project_update(project=project_get(name, is_name_given=True), is_public=True)
        self.say(f"{name} is public")

    def private(self, name: str, **_options: Any) -> None:
        services.project_update(project=project_get(name, is_name_given=True), is_public=False)
        self.say(f"{name} is private")

    def delete(self, name: str, **_options: Any) -> None:
        services.project_delete(project=project_get(name, is_name_given=True))
        self.say(f"deleted project {name}")

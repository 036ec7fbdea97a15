"""`harborlite member`: who has which role in a project."""

from typing import Any

from accounts.commands import AddVerb, NounCommand
from accounts.models import Group, User
from accounts.queries import group_get, user_get
from projects.models import Member
from projects.queries import member_of, members_of, project_get
from projects.roles import Role
from projects.services import members as services

ROLES = {
    "admin": Role.ADMIN,
    "maintainer": Role.MAINTAINER,
    "developer": Role.DEVELOPER,
    "guest": Role.GUEST,
    "limited-guest": Role.LIMITED_GUEST,
}


class Command(NounCommand):
    help = "Members of a project: add, change role, remove, list."

    def add_verbs(self, add: AddVerb) -> None:
        member_add = add("add", self.add, "Give somebody a role in a project.")
        member_role = add("role", self.role, "Change a member's role.")
        member_remove = add("remove", self.remove, "Take a member's role away.")
        for parser in (member_add, member_role, member_remove):
            parser.add_argument("project")
            parser.add_argument("name", help="of a user, or with --group of a group")
            parser.add_argument("--group", action="store_true")
        for parser in (member_add, member_role):
            parser.add_argument("role", choices=ROLES)
        add("list", self.list, "List a project's members.").add_argument("project")

    def add(self, project: str, name: str, group: bool, role: str, **_options: Any) -> None:
        target = project_get(project, is_name_given=True)
        services.member_add(project=target, subject=self._subject(name, is_group=group), role=ROLES[role])
        self.say(f"{name} is {role} in {project}")

    def role(self, project: str, name: str, group: bool, role: str, **_options: Any) -> None:
        services.member_set_role(member=self._member(project, name, is_group=group), role=ROLES[role])
        self.say(f"{name} is {role} in {project}")

    def remove(self, project: str, name: str, group: bool, **_options: Any) -> None:
        services.member_remove(member=self._member(project, name, is_group=group))
        self.say(f"{name} is no member of {project}")

    def list(self, project: str, **_options: Any) -> None:
        words = {role: word for word, role in ROLES.items()}
        self.show(
            ("name", "kind", "role"),
            (
                (member.user or member.group, "user" if member.user else "group", words[Role(member.role)])
                for member in members_of(project_get(project, is_name_given=True))
            ),
        )

    @staticmethod
    def _subject(name: str, *, is_group: bool) -> User | Group:
        return group_get(name) if is_group else user_get(name)

    def _member(self, project: str, name: str, *, is_group: bool) -> Member:
        return member_of(project_get(project, is_name_given=True), self._subject(name, is_group=is_group))

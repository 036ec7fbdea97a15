"""What tests need to exist: accounts, projects, members and robots, made by the product's own services.

World (in the test) -- a line of JSON --> the clerk: this file as a program, with the server's environment and
                    <- a line of JSON --  so in the server's database; it calls the service of that name
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.ociclient import Client

PASSWORD = "Correct-horse-1"
ROOT = Path(__file__).resolve().parent.parent
PULL = ("repository:pull",)
PUSH = ("repository:push", "repository:pull")
ROLES = {"project admin": 1, "developer": 2, "guest": 3, "maintainer": 4, "limited guest": 5}


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in: a person or a robot."""

    login: str
    secret: str


class Clerk:
    """The other process, which runs `module`; to be closed."""

    module: ClassVar[str] = "tests.clerk"

    def __init__(self, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            env={**env, "DJANGO_SETTINGS_MODULE": "harborlite.settings"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, what: str, **values: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([what, values]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the clerk died"}')
        assert "error" not in answer, f"{what}{values}: {answer['error']}"
        return answer["result"]

    def close(self) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(10)


class World:
    """One server's accounts and projects; names are never used twice. To be closed."""

    def __init__(self, url: str, env: Mapping[str, str], admin_password: str) -> None:
        self.url = url
        self.clerk = Clerk(env)
        self.admin_account = Account("admin", admin_password)
        self._clients: list[Client] = []
        self.owner = self.user()
        self.home = self.project(owner=self.owner)
        """A private project of `owner`, for tests that need just some project."""

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.clerk.close()

    # Who.

    def user(self, *, is_admin: bool = False) -> Account:
        account = Account(fresh("user"), PASSWORD)
        self.clerk("user_create", username=account.login, password=PASSWORD, is_admin=is_admin)
        return account

    def robot(self, project: str | None, actions: Mapping[str, tuple[str, ...]] | tuple[str, ...] = PUSH) -> Account:
        """A robot of `project` with these actions there, or of the system with actions by project name, `*` or `/`."""
        given = actions if isinstance(actions, Mapping) else {str(project): actions}
        result = self.clerk("robot_create", project=project, name=fresh("robot"), given=given)
        return Account(*result)

    def client(self, account: Account | None = None) -> Client:
        """A new client of `account`, or of nobody."""
        client = Client(self.url, *((account.login, account.secret) if account else ()))
        self._clients.append(client)
        return client

    def player(self) -> Client:
        """A new client of the owner of the project `home`."""
        return self.client(self.owner)

    def admin(self) -> Client:
        """A new client of the system's administrator."""
        return self.client(self.admin_account)

    # What.

    def project(
        self, *, is_public: bool = False, owner: Account | None = None, members: Mapping[Account, str] | None = None
    ) -> str:
        """The name of a new project; it is `owner`'s (`self.owner`'s), and `members` have the roles named in ROLES."""
        name = fresh("project")
        self.clerk("project_create", name=name, is_public=is_public, owner=(owner or self.owner).login)
        for account, role in (members or {}).items():
            self.clerk("member_add", project=name, username=account.login, role=ROLES[role])
        return name

    def repository(self, project: str | None = None) -> str:
        """The name of a repository that does not exist yet."""
        return f"{project or self.home}/{fresh('repo')}"


def fresh(kind: str) -> str:
    """A name nobody used before."""
    return f"{kind}-{secrets.token_hex(6)}"

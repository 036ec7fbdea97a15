"""A project with one of everything in it, made through the API itself, and requests on it that work."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.factories import PASSWORD, PULL, Account, World, fresh
from tests.images import OCI_CONFIG, OCI_LAYER, Image, descriptor, dump, image_manifest, sha256, unique
from tests.ociclient import Client
from tests.product import PATIENCE
from tests.rest.api import Api, twice
from tests.rest.contract import key
from tests.wire import Answer

SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


@dataclass(frozen=True)
class Ask:
    """A request."""

    method: str
    path: str
    body: object = None
    query: Mapping[str, object] | None = None


class Scene:
    """Things come into being when they are first asked for, and stay as they are.

    `value(noun)` is the one that everybody may look at, `spare(noun)` a new one to change or to delete. A noun is the
    segment of a path before the parameter: `projects`, `members`, ...
    """

    def __init__(self, world: World, *, is_public: bool = False, project: str | None = None) -> None:
        self.world = world
        self.admin = Api(world.url, world.admin_account)
        self.project = project or world.project(is_public=is_public)
        self.player: Client = world.player()
        self._deletion = self._deleted_project = 0

    # One of everything.

    @cached_property
    def project_id(self) -> int:
        return int(self.admin.get(f"/projects/{self.project}")["project_id"])

    @cached_property
    def image(self) -> Image:
        """Tagged v1, with a history, a signature and the label `self.label`; its repository's name has a slash."""
        image = push_history(self.player, f"{self.project}/deep/{fresh('repo')}", "v1")
        self.player.attach(image, SIGNATURE)
        return image

    @property
    def repository(self) -> str:
        """Without the project's name."""
        return self.image.repository.partition("/")[2]

    @property
    def artifact_path(self) -> str:
        return f"/projects/{self.project}/repositories/{twice(self.repository)}/artifacts/{self.image.digest}"

    @cached_property
    def label(self) -> int:
        number = self.spare_label()
        self.admin.done("POST", f"{self.artifact_path}/labels", {"id": number})
        return number

    @cached_property
    def user(self) -> Account:
        return self.world.user()

    @cached_property
    def user_id(self) -> int:
        return self.user_id_of(self.user)

    @cached_property
    def group(self) -> int:
        return self.spare_group()

    @cached_property
    def member(self) -> int:
        return self.spare_member()

    @cached_property
    def rule(self) -> int:
        return self.spare_rule("never-*")

    @cached_property
    def robot(self) -> int:
        return self.spare_robot()

    @cached_property
    def quota(self) -> int:
        return self.quota_of(self.project_id)

    @cached_property
    def token(self) -> int:
        return self.spare_token()

    @cached_property
    def registry(self) -> int:
        return self.spare_registry()

    @cached_property
    def redirect(self) -> str:
        return self.spare_redirect()

    @property
    def deletion(self) -> int:
        """As long as nobody restored it."""
        if (
            not self._deletion
            or self.admin("GET", f"/projects/{self.project}/deletions/{self._deletion}").status != 200
        ):
            self._deletion = self.spare_deletion()
        return self._deletion

    @property
    def deleted_project(self) -> int:
        """As long as nobody restored it."""
        if not self.admin.get("/deletedprojects", q=f"project_id={self._deleted_project}"):
            self._deleted_project = self.spare_deleted_project()
        return self._deleted_project

    @cached_property
    def collection(self) -> int:
        return self.run_of("gc", {"dry_run": True})

    @cached_property
    def purge(self) -> int:
        return self.run_of("purgeaudit", PURGE)

    @cached_property
    def job(self) -> int:
        """What wrote down what `self.purge` did."""
        return int(self.admin.get("/jobservice/jobs", q=f"execution_id={self.purge}")[0]["id"])

    def run_of(self, kind: str, parameters: Mapping[str, object]) -> int:
        """A run that has ended. While another one is under way there can be no second one."""
        path, body = f"/system/{kind}", {"schedule": {"type": "Manual"}, "parameters": parameters}
        deadline = time.monotonic() + PATIENCE
        while (answer := self.admin("POST", f"{path}/schedule", body)).status == 409 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert answer.status == 201, answer
        while self.admin.get(answer.headers["Location"])["job_status"] in ("Pending", "Running"):
            assert time.monotonic() < deadline, "the run has not ended"
            time.sleep(0.1)
        return int(answer.headers["Location"].rpartition("/")[2])

    def scheduled(self, kind: str) -> None:
        """It runs by itself, in the night of a new year."""
        body = BODIES[f"PUT /system/{kind}/schedule"](self)
        self.admin.done("PUT", f"/system/{kind}/schedule", body)

    # Each time another.

    def user_id_of(self, account: Account) -> int:
        found = self.admin.get("/users", q=f"username={account.login}")
        return int(found[0]["user_id"])

    def quota_of(self, project_id: int) -> int:
        found = self.admin.get("/quotas", reference="project", reference_id=project_id)
        return int(found[0]["id"])

    def spare_project(self) -> str:
        return self.world.project()

    def spare_repository(self) -> str:
        name = f"spare/{fresh('repo')}"
        push_history(self.player, f"{self.project}/{name}", "v1")
        return twice(name)

    def spare_artifact(self) -> str:
        return push_history(self.player, self.image.repository).digest

    def spare_deletion(self) -> int:
        """Of an artifact that had a tag, whatever rules somebody has made meanwhile."""
        rules = f"/projects/{self.project}/immutabletagrules"
        for rule in self.admin.get(rules, page_size=100):
            self.admin.done("PUT", f"{rules}/{rule['id']}", rule_body(fresh("never")))
        digest = push_history(self.player, self.image.repository, fresh("tag")).digest
        self.admin.done("DELETE", f"{self.artifact_path.rpartition('/')[0]}/{digest}")
        found = self.admin.get(f"/projects/{self.project}/deletions", q=f"digest={digest}")
        return int(found[0]["id"])

    def spare_deleted_project(self) -> int:
        name = self.world.project()
        project_id = int(self.admin.get(f"/projects/{name}")["project_id"])
        self.admin.done("DELETE", f"/projects/{name}")
        return project_id

    def spare_tag(self) -> str:
        name = fresh("tag")
        self.admin.create(f"{self.artifact_path}/tags", {"name": name})
        return name

    def spare_label(self) -> int:
        return self.admin.create_id("/labels", {"name": fresh("label"), "scope": "p", "project_id": self.project_id})

    def spare_label_on_artifact(self) -> int:
        number = self.spare_label()
        self.admin.done("POST", f"{self.artifact_path}/labels", {"id": number})
        return number

    def spare_user(self) -> int:
        return self.user_id_of(self.world.user())

    def spare_group(self) -> int:
        return self.admin.create_id("/usergroups", {"group_name": fresh("group"), "group_type": 2})

    def spare_member(self) -> int:
        body = {"role_id": 3, "member_user": {"username": self.world.user().login}}
        return self.admin.create_id(f"/projects/{self.project}/members", body)

    def spare_rule(self, pattern: str | None = None) -> int:
        return self.admin.create_id(f"/projects/{self.project}/immutabletagrules", rule_body(pattern or fresh("never")))

    def spare_robot(self) -> int:
        answer = self.admin("POST", "/robots", robot_body(self.project))
        assert answer.status == 201, answer
        return int(answer.json()["id"])

    def spare_quota(self) -> int:
        return self.quota_of(int(self.admin.get(f"/projects/{self.world.project()}")["project_id"]))

    def spare_token(self) -> int:
        return Api(self.world.url, self.user).create_id("/users/current/tokens", {"name": fresh("token")})

    def spare_token_of_admin(self) -> int:
        return self.admin.create_id("/users/current/tokens", {"name": fresh("token")})

    def spare_registry(self) -> int:
        """The server itself, under another name."""
        return self.admin.create_id("/registries", registry_body(self.world.url))

    def spare_redirect(self) -> str:
        """A name that the repository had between now and then."""
        name = f"renamed/{fresh('repo')}"
        project = f"/projects/{self.project}/repositories"
        for old, new in ((self.repository, name), (name, self.repository)):
            answer = self.admin("PATCH", f"{project}/{twice(old)}", {"name": new})
            assert answer.status == 200, answer
        return twice(name)

    def new_metadata(self) -> dict[str, str]:
        self.admin("DELETE", f"/projects/{self.project}/metadatas/severity")
        return {"severity": "high"}

    @property
    def retention(self) -> int:
        """The project's policy, which keeps everything; it is made when there is none."""
        found = self.admin.get(f"/projects/{self.project}")["metadata"].get("retention_id")
        return int(found) if found else self.admin.create_id("/retentions", retention_body(self.project_id))

    def new_retention(self) -> dict[str, Any]:
        self.admin.done("DELETE", f"/retentions/{self.retention}")
        return retention_body(self.project_id)

    def retention_idle(self) -> str:
        """The path of the policy's runs, none of which is under way. There is a repository for them to look at."""
        assert self.image
        path, deadline = f"/retentions/{self.retention}/executions", time.monotonic() + PATIENCE
        while any(run["status"] in ("Pending", "Running") for run in self.admin.get(path)):
            assert time.monotonic() < deadline, "the run has not ended"
            time.sleep(0.1)
        return path

    @property
    def retention_run(self) -> int:
        """A run of the policy that has ended."""
        path = self.retention_idle()
        if found := self.admin.get(path):
            return int(found[0]["id"])
        number = self.admin.create_id(path, {"dry_run": True})
        self.retention_idle()
        return number

    def retention_task(self) -> int:
        """Of that run, what it did in the repository."""
        path = f"/retentions/{self.retention}/executions/{self.retention_run}/tasks"
        return int(self.admin.get(path)[0]["id"])

    def dry_retention(self) -> dict[str, bool]:
        self.retention_idle()
        return {"dry_run": True}

    def spare_metadata(self) -> str:
        name = "auto_scan"
        self.admin("POST", f"/projects/{self.project}/metadatas/", {name: "true"})
        return name

    # Requests.

    def value(self, noun: str, path: str = "") -> str:
        return str(_VALUES[noun](self))

    def spare(self, noun: str, path: str = "") -> str:
        """`path` is the filled part before it."""
        if noun == "labels" and "/artifacts/" in path:
            noun = "labels of an artifact"
        if noun == "tokens" and "/current/" in path:
            noun = "tokens of the administrator"
        return str(_SPARES[noun](self) if noun in _SPARES else _VALUES[noun](self))

    def ask(self, operation: str, *, is_spare: bool = True) -> Ask:
        """A request that works for an administrator; on something of its own when it changes what it names."""
        method, _, template = operation.partition(" ")
        changes = is_spare and method not in ("GET", "HEAD", "POST", "OPTIONS")
        segments, path = template.split("/")[1:], ""
        last = len(segments) - 1 - segments[::-1].index("{}") if "{}" in segments else -1
        for number, segment in enumerate(segments):
            if segment == "{}":
                choose = self.spare if changes and number == last else self.value
                segment = choose(segments[number - 1], path)  # noqa: PLW2901 - the parameter's value stands for it
            path += "/" + segment
        return Ask(method, path, self._body(operation, path), QUERIES.get(operation, lambda _: None)(self))

    def send(self, ask: Ask, headers: Mapping[str, str], method: str | None = None) -> Answer:
        """`ask` with these credentials, perhaps by another method, and then without its body."""
        body = ask.body if method is None else None
        return Api(self.world.url)(method or ask.method, ask.path, body, query=ask.query, headers=headers)

    def _body(self, operation: str, path: str) -> object:
        if operation == "PUT /robots/{}":
            return {**self.admin.get(path), "description": "changed"}
        return BODIES[operation](self) if operation in BODIES else None


def push_history(player: Client, repository: str, tag: str | None = None) -> Image:
    """An image whose config says how it was built."""
    layer = unique()
    config = dump(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-05-06T07:08:09Z",
            "author": "somebody",
            "config": {"Env": ["PATH=/bin"], "Labels": {"unique": secrets.token_hex(8)}},
            "history": [
                {"created": "2024-05-06T07:08:09.123456789Z", "created_by": "/bin/sh -c #(nop) ADD file:a in / "},
                {"created": "2024-05-06T07:08:10Z", "created_by": 'CMD ["sh"]', "empty_layer": True},
            ],
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
        }
    )
    for content in (layer, config):
        player.push_blob(repository, content)
    document = image_manifest(descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER)])
    content = dump(document)
    answer = player.push_manifest(repository, tag or sha256(content), document)
    assert answer.status == 201, answer
    return Image(repository, sha256(content), str(document["mediaType"]), content, config, (layer,))


def rule_body(pattern: str, **further: object) -> dict[str, Any]:
    """An immutable rule as Terraform writes it."""
    return {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}],
        },
        **further,
    }


def retention_body(project_id: int, *rules: Mapping[str, object], cron: str = "") -> dict[str, Any]:
    """A policy as Terraform writes it; without rules it keeps everything."""
    return {
        "algorithm": "or",
        "rules": list(rules) or [retention_rule("always", 0)],
        "trigger": {"kind": "Schedule", "references": {}, "settings": {"cron": cron}},
        "scope": {"level": "project", "ref": project_id},
    }


def retention_rule(template: str, number: int, pattern: str = "**", **further: object) -> dict[str, Any]:
    return {
        "action": "retain",
        "template": template,
        "params": {template: number},
        "tag_selectors": [
            {"kind": "doublestar", "decoration": "matches", "pattern": pattern, "extras": '{"untagged":true}'}
        ],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}],
        },
        **further,
    }


def robot_body(project: str | None = None, **further: object) -> dict[str, Any]:
    """A robot of that project that pulls, or one of the system that lists projects."""
    if project:
        access = [{"resource": "repository", "action": action.partition(":")[2]} for action in PULL]
        permission = {"kind": "project", "namespace": project, "access": access}
    else:
        permission = {"kind": "system", "namespace": "/", "access": [{"resource": "project", "action": "list"}]}
    return {
        "name": fresh("robot"),
        "description": "made by a test",
        "level": "project" if project else "system",
        "duration": 30,
        "disable": False,
        "permissions": [permission],
        **further,
    }


def registry_body(url: str, **further: object) -> dict[str, Any]:
    """Another registry, as nobody sees it."""
    return {"name": fresh("registry"), "type": "harborlite", "url": url, **further}


def user_body(**further: object) -> dict[str, Any]:
    name = fresh("user")
    return {
        "username": name,
        "email": f"{name}@example.com",
        "realname": "Some Body",
        "password": PASSWORD,
        "comment": "",
        **further,
    }


_VALUES: Mapping[str, Callable[[Scene], object]] = {
    "projects": lambda scene: scene.project,
    "members": lambda scene: scene.member,
    "metadatas": lambda scene: "public",
    "immutabletagrules": lambda scene: scene.rule,
    "repositories": lambda scene: twice(scene.repository),
    "artifacts": lambda scene: scene.image.digest,
    "tags": lambda scene: "v1",
    "labels": lambda scene: scene.label,
    "additions": lambda scene: "build_history",
    "users": lambda scene: scene.user_id,
    "usergroups": lambda scene: scene.group,
    "quotas": lambda scene: scene.quota,
    "robots": lambda scene: scene.robot,
    "tokens": lambda scene: scene.token,
    "redirects": lambda scene: scene.redirect,
    "registries": lambda scene: scene.registry,
    "deletions": lambda scene: scene.deletion,
    "deletedprojects": lambda scene: scene.deleted_project,
    "gc": lambda scene: scene.collection,
    "purgeaudit": lambda scene: scene.purge,
    "jobs": lambda scene: scene.job,
    "pools": lambda scene: "all",
    "queues": lambda scene: "PURGE_AUDIT_LOG",
    "schedules": lambda scene: "all",
    "retentions": lambda scene: scene.retention,
    "executions": lambda scene: scene.retention_run,
    "tasks": Scene.retention_task,
    "in-use": lambda scene: "cluster",
}

NOUNS = tuple(_VALUES)

_SPARES: Mapping[str, Callable[[Scene], object]] = {
    "projects": Scene.spare_project,
    "members": Scene.spare_member,
    "metadatas": Scene.spare_metadata,
    "immutabletagrules": Scene.spare_rule,
    "repositories": Scene.spare_repository,
    "artifacts": Scene.spare_artifact,
    "tags": Scene.spare_tag,
    "labels": Scene.spare_label,
    "labels of an artifact": Scene.spare_label_on_artifact,
    "users": Scene.spare_user,
    "usergroups": Scene.spare_group,
    "quotas": Scene.spare_quota,
    "robots": Scene.spare_robot,
    "tokens": Scene.spare_token,
    "tokens of the administrator": Scene.spare_token_of_admin,
    "redirects": Scene.spare_redirect,
    "registries": Scene.spare_registry,
    "deletions": Scene.spare_deletion,
    "deletedprojects": Scene.spare_deleted_project,
}

PURGE = {"audit_retention_hour": 240_000, "include_event_types": "pull_artifact"}
"""Of what is older than anything here."""


def scheduled_body(parameters: Mapping[str, object]) -> dict[str, Any]:
    return {"schedule": {"type": "Custom", "cron": "0 0 3 1 1 *"}, "parameters": parameters}


BODIES: Mapping[str, Callable[[Scene], object]] = {
    "POST /system/gc/schedule": lambda scene: scheduled_body({"delete_untagged": False, "workers": 1}),
    "PUT /system/gc/schedule": lambda scene: scheduled_body({"delete_untagged": False, "workers": 1}),
    "POST /system/purgeaudit/schedule": lambda scene: scheduled_body(PURGE),
    "PUT /system/purgeaudit/schedule": lambda scene: scheduled_body(PURGE),
    "PUT /jobservice/queues/{}": lambda scene: {"action": "resume"},
    "POST /retentions": Scene.new_retention,
    "PUT /retentions/{}": lambda scene: retention_body(scene.project_id),
    "POST /retentions/{}/executions": Scene.dry_retention,
    "PATCH /retentions/{}/executions/{}": lambda scene: {"action": "stop"},
    "PUT /projects/{}/in-use/{}": lambda scene: {"digests": [scene.image.digest], "seconds": 3600},
    "PUT /projects/{}/repositories/{}/tags/{}/expiry": lambda scene: {"expires_at": None},
    "PUT /configurations": lambda scene: {"banner_message": ""},
    "POST /users": lambda scene: user_body(),
    "PUT /users/{}": lambda scene: {"email": f"{fresh('mail')}@example.com", "realname": "New", "comment": "new"},
    "PUT /users/{}/sysadmin": lambda scene: {"sysadmin_flag": False},
    "PUT /users/{}/password": lambda scene: {"new_password": "Another-horse-2"},
    "PUT /users/{}/cli_secret": lambda scene: {"secret": "Another-horse-3"},
    "POST /usergroups": lambda scene: {"group_name": fresh("group"), "group_type": 2},
    "PUT /usergroups/{}": lambda scene: {"group_name": fresh("group")},
    "POST /projects": lambda scene: {"project_name": fresh("project"), "metadata": {"public": "false"}},
    "PUT /projects/{}": lambda scene: {"metadata": {"auto_scan": "false"}},
    "POST /projects/{}/members": lambda scene: {
        "role_id": 3,
        "member_user": {"username": scene.world.user().login},
    },
    "PUT /projects/{}/members/{}": lambda scene: {"role_id": 2},
    "POST /projects/{}/metadatas": Scene.new_metadata,
    "PUT /projects/{}/metadatas/{}": lambda scene: {"auto_scan": "false"},
    "POST /projects/{}/immutabletagrules": lambda scene: rule_body(fresh("never")),
    "PUT /projects/{}/immutabletagrules/{}": lambda scene: rule_body(fresh("never"), disabled=True),
    "PUT /quotas/{}": lambda scene: {"hard": {"storage": 1 << 30}},
    "POST /labels": lambda scene: {"name": fresh("label"), "scope": "p", "project_id": scene.project_id},
    "PUT /labels/{}": lambda scene: {"name": fresh("label"), "color": "#ff0000", "description": "changed"},
    "POST /registries": lambda scene: registry_body(scene.world.url),
    "PUT /registries/{}": lambda scene: {"name": fresh("registry"), "description": "changed"},
    "POST /registries/ping": lambda scene: registry_body(scene.world.url),
    "POST /robots": lambda scene: robot_body(scene.project),
    "PATCH /robots/{}": lambda scene: {"secret": ""},
    "PUT /projects/{}/repositories/{}": lambda scene: {"description": "changed"},
    "POST /projects/{}/repositories/{}/artifacts/{}/tags": lambda scene: {"name": fresh("tag")},
    "POST /users/current/tokens": lambda scene: {"name": fresh("token"), "duration": 1},
    "PATCH /projects/{}/repositories/{}": lambda scene: {"name": f"renamed/{fresh('repo')}"},
    "POST /projects/{}/repositories/_delete": lambda scene: {"repositories": [fresh("missing")]},
    "POST /projects/{}/repositories/{}/_delete": lambda scene: {"artifacts": [fresh("missing")]},
    "POST /projects/{}/repositories/{}/tags/_delete": lambda scene: {"tags": [fresh("missing")]},
    "POST /projects/{}/repositories/{}/tags/{}/restore": lambda scene: {"digest": scene.image.digest},
    "POST /projects/{}/repositories/{}/artifacts/{}/labels": lambda scene: {"id": scene.spare_label()},
}
"""What to send with an operation; of those that take nothing there is no entry."""

QUERIES: Mapping[str, Callable[[Scene], Mapping[str, object] | None]] = {
    "GET /labels": lambda scene: {"scope": "p", "project_id": scene.project_id},
    "GET /robots": lambda scene: {"q": f"Level=project,ProjectID={scene.project_id}"},
    "GET /search": lambda scene: {"q": scene.project},
    "GET /projects/{}/explain": lambda scene: {"action": "repository:pull"},
    "GET /projects/{}/repositories/{}/tags/{}/past": lambda scene: {"at": "2999-01-01T00:00:00Z"},
    "HEAD /projects": lambda scene: {"project_name": scene.project},
    "GET /users/search": lambda scene: {"username": "user-"},
    "GET /usergroups/search": lambda scene: {"groupname": "group-"},
    "GET /system/gc/schedule": lambda scene: scene.scheduled("gc"),
    "GET /system/purgeaudit/schedule": lambda scene: scene.scheduled("purgeaudit"),
    "POST /projects/{}/repositories/{}/artifacts": lambda scene: {"from": f"{scene.image.repository}:v1"},
}

assert all(operation == key(*operation.split(" ", 1)) for operation in (*BODIES, *QUERIES))

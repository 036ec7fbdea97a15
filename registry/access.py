"""From scopes to grants, and whether a caller may do what a request asks: the only place that decides it on /v2.

The protocol knows three actions; each is one of the project's actions (Harbor maps them alike):

    pull -> repository:pull      push -> repository:push      delete -> artifact:delete
"""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts import queries as accounts_queries
from harborlite.actors import ANONYMOUS, Actor
from harborlite.errors import BadRequest, Denied, NameInvalid, Unauthorized
from projects import rbac
from registry.oci import names
from registry.routing import Target
from registry.tokens import Grant, Token

ACTIONS = {"pull": "repository:pull", "push": "repository:push", "delete": "artifact:delete"}
MAX_SCOPES = 100
MAX_SCOPE_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: an actor, by a token when there is one."""

    actor: Actor = ANONYMOUS
    token: Token | None = None


def parse_scopes(texts: Iterable[str]) -> dict[str, set[str]]:
    """Asked actions by repository name. Other kinds of scope grant nothing: the catalog goes by who asks.

    Scopes come as several parameters and as words of one (distribution's token specification).
    """
    words = [word for text in texts for word in text.split()]
    if len(words) > MAX_SCOPES or sum(map(len, words)) > MAX_SCOPE_CHARACTERS:
        raise BadRequest(f"too many scopes; ask for at most {MAX_SCOPES} at a time")
    asked: dict[str, set[str]] = {}
    for word in words:
        kind, _, rest = word.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind in ("repository", "repository(plugin)") and name:
            wanted = set(actions.split(",")) - {""}
            asked.setdefault(name, set()).update(ACTIONS if "*" in wanted else wanted & ACTIONS.keys())
    return asked


def grant(actor: Actor, asked: dict[str, set[str]]) -> list[Grant]:
    """What `actor` is granted of what was `asked`; what may not be seen is answered as what does not exist."""
    projects = {}
    for name in asked:
        try:
            projects[name] = names.split_project(name)[0]
        except NameInvalid:
            continue
    found = rbac.actions_by_name(actor, sorted(set(projects.values()))) if projects else {}
    grants = []
    for name, wanted in asked.items():
        project, allowed = found.get(projects.get(name, ""), (None, frozenset()))
        granted = frozenset(action for action in wanted if ACTIONS[action] in allowed)
        # A client can read its token, so a project in which the actor has no right leaves no trace in it.
        project_id, version = (project.pk, project.access_version) if project and allowed else (None, 0)
        grants.append(Grant(name, project_id, version, granted, frozenset(wanted)))
    return grants


def require_known(caller: Caller) -> None:
    """Returns when `caller` signed in or holds a token; Unauthorized when not, or when the account changed since."""
    if caller.token is None:
        if caller.actor.user_id is None:
            raise Unauthorized()
    elif not accounts_queries.is_current(caller.actor):
        raise Unauthorized("the account changed since the token was issued", detail={"error": "invalid_token"})


def require(caller: Caller, target: Target, action: str) -> None:
    """Returns when `caller` may do `action` (pull, push, delete) on `target`.

    Unauthorized (401) when other credentials or a newer token may help, Denied (403) when the answer is no. A project
    that does not exist and one that the caller may not see get the same answer.
    """
    if caller.token is None:
        _require_role(caller.actor, target, action)
        return
    actor, held = caller.token.actor, caller.token.grants.get(target.name)
    if actor.user_id is not None and actor.version != target.actor_version:
        raise Unauthorized("the account changed since the token was issued", detail={"error": "invalid_token"})
    if held is None or action not in held.asked:
        raise Unauthorized("the token does not cover this", detail={"error": "insufficient_scope"})
    if held.project_id is not None:
        project = target.project
        if project is None or (project.pk, project.access_version) != (held.project_id, held.project_version):
            raise Unauthorized("permissions changed since the token was issued", detail={"error": "invalid_token"})
    if action not in held.granted:
        # Who is nobody may sign in and ask again; `error` keeps clients from doing so for ever.
        anonymous = actor.user_id is None
        raise Unauthorized(detail={"error": "insufficient_scope"}) if anonymous else _denied(target, action)


def _require_role(actor: Actor, target: Target, action: str) -> None:
    allowed = rbac.actions(actor, target.project) if target.project else frozenset()
    if ACTIONS[action] not in allowed:
        raise Unauthorized() if actor.user_id is None else _denied(target, action)


def _denied(target: Target, action: str) -> Denied:
    """With a detail: without one, Docker takes the error for a passing fault and tries again for a minute."""
    return Denied(detail={"name": target.name, "action": action})


def may_pull(actor: Actor, target: Target) -> bool:
    """Whether `actor` may read `target` by role or visibility, whatever its token says: for mount sources."""
    return target.project is not None and ACTIONS["pull"] in rbac.actions(actor, target.project)

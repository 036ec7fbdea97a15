"""Why somebody may or may not do something in a project, in words.

projects.rbac.grants     what lets them; the decision itself, read aloud
what is in the way       read-only mode, a full quota, an immutable tag: refused to whoever has the right
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accounts.models import Group, User
from harborlite.actors import Actor
from projects import immutability, quota, rbac, roles
from projects.models import Project
from projects.rbac import Grant, Rule
from projects.roles import HIGHEST_FIRST
from system import config

READS = frozenset({"read", "list", "pull"})
TAG_CHANGES = frozenset({"repository:push", "tag:create", "tag:delete", "artifact:delete"})


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that allows or refuses, and how it comes to that."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether it is allowed, and every rule that lets it be or, when it is not allowed, that stands in the way."""

    is_allowed: bool
    reasons: Sequence[Reason]


def explain(actor: Actor, project: Project, action: str, *, repository: str = "", tag: str = "") -> Explanation:
    """Why `actor` may, or may not, do `action` in `project`, and to that tag of that repository if they are named.

    Without anything in the way, `is_allowed` is `rbac.allowed`: both read the same grants.
    """
    grants = rbac.grants(actor, project)
    held = [grant for grant in grants if action in grant.actions]
    if not held:
        return Explanation(is_allowed=False, reasons=[_missing(actor, grants, action)])
    if obstacles := list(_obstacles(project, action, repository, tag)):
        return Explanation(is_allowed=False, reasons=obstacles)
    return Explanation(is_allowed=True, reasons=[Reason(grant.rule, _told(grant)) for grant in held])


def _told(grant: Grant) -> str:
    role = grant.role.label if grant.role else ""
    match grant.rule:
        case Rule.ADMINISTRATOR:
            return "administrators of the system may do everything"
        case Rule.PUBLIC:
            return "the project is public, and everybody may do this in a public project"
        case Rule.ROLE:
            return f"a member of the project with the role {role}"
        case Rule.GROUP_ROLE:
            return f"in the group {_group(grant)}, which has the role {role} in the project"
        case Rule.ROBOT:
            return "the robot carries this permission for this project"
    return "the robot carries this permission for every project"


def _group(grant: Grant) -> str:
    return Group.objects.values_list("name", flat=True).filter(pk=grant.group_id or 0).first() or "that was deleted"


def _missing(actor: Actor, grants: Sequence[Grant], action: str) -> Reason:
    """Why none of `grants`, which is everything the actor has here, allows `action`."""
    account = User.objects.filter(pk=actor.user_id).first() if actor.user_id else None
    if account is None:
        return Reason("not-signed-in", "who has not signed in may only do what everybody may in a public project")
    if not account.is_active:
        return Reason("account-disabled", "the account is disabled, and may only do what everybody may")
    if actor.kind == "robot":
        return _missing_in_robot(account, grants)
    held = [grant.role for grant in grants if grant.role]
    sufficient = [role.label for role in HIGHEST_FIRST if action in roles.ACTIONS[role]]
    needed = f"it takes {' or '.join(sufficient)}" if sufficient else "no role allows it"
    if not held:
        return Reason("no-role", f"neither the user nor one of the user's groups is a member of the project; {needed}")
    names = " and ".join(sorted({role.label for role in held}))
    return Reason("role-not-sufficient", f"{names} may not do this; {needed}")


def _missing_in_robot(account: User, grants: Sequence[Grant]) -> Reason:
    if not rbac.is_live(account):
        return Reason("secret-expired", "the robot's secret has expired")
    carried = sorted(action for grant in grants if grant.rule != Rule.PUBLIC for action in grant.actions)
    here = f"here it carries {', '.join(carried)}" if carried else "it carries none for this project"
    return Reason("robot-permission-missing", f"the robot does not carry this permission; {here}")


def _obstacles(project: Project, action: str, repository: str, tag: str) -> Iterator[Reason]:
    if action.partition(":")[2] not in READS and config.get("read_only"):
        yield Reason("read-only", "the system is in read only mode; nothing can be changed")
    if action == "repository:push" and quota.is_enforced():
        usage = quota.of(project.pk)
        if usage.room == 0:
            yield Reason("quota", f"the project holds {quota.amount(usage.used)} of {quota.amount(usage.hard)}")
    if repository and tag and action in TAG_CHANGES:
        decision = immutability.change_of_tag(project, repository, tag)
        if not decision.is_allowed and _has_tag(project, repository, tag):
            yield Reason("immutable-tag", decision.reason)


def _has_tag(project: Project, repository: str, tag: str) -> bool:
    """Whether the tag is there: one that a rule makes immutable may still be pushed for the first time."""
    return Project.objects.filter(pk=project.pk, repositories__name=repository, repositories__tags__name=tag).exists()

"""What a role may do in a project, what anybody may in a public one, and what a robot may be given. Pure tables.

An action is "resource:action" in Harbor's words; the project itself is the resource `project`. The tables are Harbor
2.x's (its src/common/rbac), with `metadata:list` added for who may `metadata:read`. What stands in no table is allowed
to nobody.
"""

from collections.abc import Mapping
from enum import IntEnum


class Role(IntEnum):
    """Harbor's roles by Harbor's numbers; the numbers are no order."""

    ADMIN = 1
    DEVELOPER = 2
    GUEST = 3
    MAINTAINER = 4
    LIMITED_GUEST = 5

    @property
    def codename(self) -> str:
        """Of the guardian permission that stands for the role."""
        return f"role_{self.name.lower()}"

    @property
    def label(self) -> str:
        """As Harbor's API and our command line spell it."""
        return _LABELS[self]


_LABELS = {
    Role.ADMIN: "projectAdmin",
    Role.DEVELOPER: "developer",
    Role.GUEST: "guest",
    Role.MAINTAINER: "maintainer",
    Role.LIMITED_GUEST: "limitedGuest",
}


HIGHEST_FIRST = (Role.ADMIN, Role.MAINTAINER, Role.DEVELOPER, Role.GUEST, Role.LIMITED_GUEST)


def _table(text: str) -> frozenset[str]:
    """Actions of lines such as `tag list create`."""
    rows = (line.split() for line in text.strip().splitlines())
    return frozenset(f"{resource}:{action}" for resource, *actions in rows for action in actions)


PUBLIC = _table("""
    project            read
    label              read list
    repository         list pull
    scan               read
    scanner            read
    tag                list
    artifact           read list
    artifact-addition  read
    accessory          list
""")
"""What everybody, signed in or not, may do in a public project."""

_LIMITED_GUEST = _table("""
    project            read
    quota              read
    repository         list read pull
    configuration      read
    scan               read
    sbom               read
    scanner            read
    tag                list
    accessory          list
    artifact           read list
    artifact-addition  read
""")
_GUEST = _LIMITED_GUEST | _table("""
    member             read list
    label              read list
    robot              read list
""")
_DEVELOPER = _GUEST | _table("""
    repository         create update push
    tag-retention      create read update delete list operate
    artifact           create
    tag                create
    artifact-label     create delete
    export-cve         create read list
""")
_MAINTAINER = _DEVELOPER | _table("""
    metadata           read list
    label              create update delete
    repository         delete
    immutable-tag      create update delete list
    notification-policy  read list
    scan               create stop
    sbom               create stop
    artifact           delete
    tag                delete
""")
_ADMIN = _MAINTAINER | _table("""
    project            update delete
    member             create update delete
    metadata           create update delete
    log                list
    configuration      update
    robot              create update delete
    notification-policy  create update delete
    scanner            create
    preheat-policy     create read update delete list
""")

ACTIONS: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _DEVELOPER,
    Role.GUEST: _GUEST,
    Role.MAINTAINER: _MAINTAINER,
    Role.LIMITED_GUEST: _LIMITED_GUEST,
}

PROJECT_ACTIONS = frozenset().union(*ACTIONS.values(), PUBLIC)
"""Every action there is in a project; what the system's administrators may."""

ROBOT_PROJECT_ACTIONS = _table("""
    project            read update delete
    log                list
    metadata           create read update delete list
    repository         read update delete list pull push
    artifact           create read delete list
    scan               create read stop
    sbom               create read stop
    tag                create delete list
    accessory          list
    artifact-addition  read
    artifact-label     create delete
    scanner            create read
    preheat-policy     create read update delete list
    immutable-tag      create update delete list
    notification-policy  create read update delete list
    tag-retention      create read update delete list
    label              create read update delete list
    quota              read
    robot              create read delete list
    export-cve         create read
    member             create read update delete list
""")
"""What a robot may be given in a project."""

SYSTEM_ACTIONS = _table("""
    audit-log          list
    preheat-instance   create read update delete list
    project            create list
    replication-policy create read update delete list
    replication        create read list
    replication-adapter  list
    registry           create read update delete list
    scan-all           create read update stop
    system-volumes     read
    garbage-collection create read update list stop
    purge-audit        create read update list stop
    jobservice-monitor list stop
    scanner            create read update delete list
    label              create read update delete
    security-hub       read list
    catalog            read
    quota              read update list
    robot              create read delete list
    user               create read update delete list
    ldap-user          create list
    user-group         create read update delete list
""")
"""What a robot of the system may be given outside projects."""

ADMINISTRATOR_ACTIONS = SYSTEM_ACTIONS | _table("""
    configuration      read update
    robot              update
""")
"""What an administrator of the system may outside projects."""


def closed(actions: frozenset[str]) -> frozenset[str]:
    """The `actions` of a project's robot and what they carry with them: who may push may pull (Harbor)."""
    return actions | {"repository:pull"} if "repository:push" in actions else actions

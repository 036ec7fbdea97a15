"""The rules of a policy as Harbor's API writes them and as they are stored, and what they say. Pure.

{"id": 1, "priority": 0, "disabled": false, "action": "retain", "template": "latestPushedK",
 "params": {"latestPushedK": 10},
 "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "**", "extras": "{\"untagged\":true}"},
                   {"kind": "label", "decoration": "withLabels", "pattern": "gold,old"}],
 "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}}

What is stored was checked when it came in (retention.api.rules).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from projects.rules import Decoration, Selector
from retention.rules import LabelDecoration, LabelSelector, Rule, TagSelector

DOUBLESTAR, LABEL = "doublestar", "label"
ACTION, ALGORITHM = "retain", "or"


def rules_of(stored: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """What the rules say."""
    return [
        Rule(
            id=row["id"],
            template=row["template"],
            number=row["params"].get(row["template"], 0),
            selectors=tuple(map(_selector, row["tag_selectors"])),
            repositories=tuple(
                Selector(Decoration(one["decoration"]), one["pattern"]) for one in row["scope_selectors"]["repository"]
            ),
            is_disabled=row["disabled"],
        )
        for row in stored
    ]


def labels_in(pattern: str) -> frozenset[str]:
    """The names of labels in the pattern of a selector of the kind LABEL."""
    return frozenset(name for part in pattern.split(",") if (name := part.strip()))


def labels_of(stored: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The names of all labels that the rules ask for."""
    selectors = (one for row in stored for one in row["tag_selectors"] if one["kind"] == LABEL)
    return frozenset().union(*(labels_in(one["pattern"]) for one in selectors))


def _selector(row: Mapping[str, Any]) -> TagSelector | LabelSelector:
    if row["kind"] == LABEL:
        return LabelSelector(LabelDecoration(row["decoration"]), labels_in(row["pattern"]))
    decoration = Decoration(row["decoration"])
    return TagSelector(decoration, row["pattern"], _chooses_untagged(decoration, row.get("extras", "")))


def _chooses_untagged(decoration: Decoration, extras: str) -> bool:
    """Harbor: the pattern applies to artifacts without a tag when `untagged` says so, and to exclude is to not choose.

    When nothing is said, `matches` applies to them and `excludes` does not: both choose them.
    """
    if not extras:
        return True
    return bool(json.loads(extras).get("untagged", False)) == (decoration == Decoration.TAGS)

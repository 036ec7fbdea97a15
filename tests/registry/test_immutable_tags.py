"""S-162: what a rule makes immutable stays where it is, by whatever way somebody tries, and at whatever moment (I9)."""

import threading
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from harborlite.actors import OPERATOR
from harborlite.errors import Precondition
from projects import immutability
from projects.models import ImmutableRule, Project
from projects.rules import Decoration, Selector
from projects.services import immutability as rules
from projects.services.projects import project_create, project_delete
from registry import gates
from registry.models import Manifest, Repository, Tag, TagMove
from registry.oci.digest import Digest
from registry.oci.manifest import parse
from registry.services import artifacts, copies, manifests, repositories, restorations, tags
from tests.images import OCI_INDEX, descriptor, dump, index_manifest
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
WHO = {"actor": "somebody"}


class Shelf:
    """A project and its repository `app`. What is pushed are empty indexes: nothing here depends on layers."""

    def __init__(self, name: str = "vault") -> None:
        self.project: Project = project_create(name=name, owner=OPERATOR)
        self.repository = self.make("app")

    def make(self, path: str) -> Repository:
        found = repositories.repository_ensure(project=self.project, path=path)
        return Repository.objects.select_related("project").get(pk=found)

    def push(self, number: int, *names: str, children: Iterable[int] = ()) -> str:
        """The digest of document `number`, to which all these tags point now."""
        listed = [descriptor(document(child), OCI_INDEX) for child in children]
        content = document(number) if not listed else dump(index_manifest(listed))
        manifests.manifest_put(
            project_id=self.project.pk,
            repository_id=self.repository.pk,
            name=f"{self.project.name}/{self.repository.name}",
            content=content,
            digest=Digest.of(content),
            parsed=parse(content, OCI_INDEX),
            names=names,
            actor="somebody",
            actor_id=None,
        )
        return str(Digest.of(content))

    def rule(self, pattern: str, repositories: str = "**") -> ImmutableRule:
        return rules.rule_create(
            project=self.project,
            repositories=Selector(Decoration.REPOSITORIES, repositories),
            tags=Selector(Decoration.TAGS, pattern),
        )

    def tags(self) -> dict[str, str]:
        return dict(Tag.objects.filter(repository=self.repository).values_list("name", "manifest__digest"))


def document(number: int) -> bytes:
    return dump(index_manifest([], annotations={"number": str(number)}))


def digest(number: int) -> str:
    return str(Digest.of(document(number)))


@pytest.fixture
def shelf(transactional_db: None) -> Shelf:
    """With v1 at 1, w1 at 2, and v* immutable."""
    made = Shelf()
    made.push(1, "v1", "also")
    made.push(2, "w1")
    made.rule("v*")
    return made


Try = Callable[[Shelf], object]
REFUSED: dict[str, tuple[Try, str]] = {
    "push": (lambda at: at.push(2, "v1"), "Failed to process request due to 'app:v1' configured as immutable."),
    "push of something new": (lambda at: at.push(3, "v1"), "Failed to process request due to 'app:v1' configured"),
    "one of several tags": (lambda at: at.push(3, "a", "v1", "z"), "Failed to process request due to 'app:v1'"),
    "restore": (
        lambda at: restorations.tag_restore(repository=at.repository, digest=digest(2), name="v1", **WHO),
        "the tag v1 configured as immutable, cannot be updated",
    ),
    "delete of the tag": (
        lambda at: tags.tag_delete(repository_id=at.repository.pk, name="v1", **WHO),
        "the tag v1 configured as immutable, cannot be deleted",
    ),
    "delete of the manifest": (
        lambda at: manifests.manifest_delete(
            project_id=at.project.pk, repository_id=at.repository.pk, name="x", digest=Digest.of(document(1)), **WHO
        ),
        "the tag v1 configured as immutable, cannot be deleted",
    ),
    "delete of the artifact": (
        lambda at: artifacts.artifact_delete(repository=at.repository, digest=digest(1), **WHO),
        "the tag v1 configured as immutable, cannot be deleted",
    ),
    "delete of the repository": (
        lambda at: repositories.repository_delete(repository=at.repository),
        "the tag v1 configured as immutable, cannot be deleted",
    ),
    "rename of the repository": (
        lambda at: repositories.repository_rename(repository=at.repository, path="other"),
        "the tag v1 configured as immutable, the repository cannot be renamed",
    ),
    "delete of the project": (lambda at: project_delete(project=at.project), "repositories"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_an_immutable_tag_stays(shelf: Shelf, way: str) -> None:
    before, moves = shelf.tags(), TagMove.objects.count()
    attempt, message = REFUSED[way]
    with pytest.raises(Precondition) as refused:
        attempt(shelf)
    assert message in refused.value.message
    assert (shelf.tags(), TagMove.objects.count()) == (before, moves)
    assert Repository.objects.get(pk=shelf.repository.pk).name == "app"
    assert not Manifest.objects.filter(digest=digest(3)).exists()


def test_a_copy_does_not_move_an_immutable_tag(shelf: Shelf) -> None:
    source = Shelf("source")
    for number, tag in ((3, "v1"), (4, "v2"), (5, "w1")):
        source.push(number, tag)

    def copy(number: int) -> None:
        copies.artifact_copy(
            source=source.repository, digest=digest(number), destination=shelf.repository, actor_id=None, **WHO
        )

    with pytest.raises(Precondition, match="the tag v1 configured as immutable, cannot be updated"):
        copy(3)
    assert not Manifest.objects.filter(repository=shelf.repository, digest=digest(3)).exists()
    copy(4)
    copy(5)
    assert shelf.tags() == {"v1": digest(1), "also": digest(1), "v2": digest(4), "w1": digest(5)}


ALLOWED: dict[str, Try] = {
    "push of what is there": lambda at: at.push(1, "v1"),
    "push of a new tag": lambda at: at.push(2, "v2"),
    "push of another tag": lambda at: at.push(1, "w1"),
    "push by digest": lambda at: at.push(3),
    "new tag for the artifact": lambda at: at.push(1, "another"),
    "restore of what is": lambda at: restorations.tag_restore(
        repository=at.repository, digest=digest(1), name="v1", **WHO
    ),
    "delete of another tag of the artifact": lambda at: tags.tag_delete(
        repository_id=at.repository.pk, name="also", **WHO
    ),
    "delete of another artifact": lambda at: artifacts.artifact_delete(
        repository=at.repository, digest=digest(2), **WHO
    ),
    "delete of another repository": lambda at: repositories.repository_delete(repository=at.make("other")),
    "rename of another repository": lambda at: repositories.repository_rename(
        repository=at.make("other"), path="third"
    ),
}


@pytest.mark.parametrize("way", ALLOWED)
def test_the_rule_is_in_nobody_elses_way(shelf: Shelf, way: str) -> None:
    ALLOWED[way](shelf)
    assert shelf.tags()["v1"] == digest(1)


def test_a_child_of_an_immutable_index_stays(shelf: Shelf) -> None:
    parent = shelf.push(9, "v9", children=[2])
    tags.tag_delete(repository_id=shelf.repository.pk, name="w1", **WHO)
    for way in (
        partial(artifacts.artifact_delete, repository=shelf.repository, digest=digest(2), **WHO),
        partial(artifacts.artifact_delete, repository=shelf.repository, digest=parent, **WHO),
    ):
        with pytest.raises(Precondition):
            way()
    assert Manifest.objects.filter(digest__in=[parent, digest(2)]).count() == 2


@pytest.mark.parametrize("way", ["deleted", "switched off", "changed"])
def test_without_the_rule_the_tag_moves_again(shelf: Shelf, way: str) -> None:
    rule = ImmutableRule.objects.get(project=shelf.project)
    match way:
        case "deleted":
            rules.rule_delete(rule=rule)
        case "switched off":
            rules.rule_update(rule=rule, is_disabled=True)
        case "changed":
            rules.rule_update(rule=rule, repositories=Selector(Decoration.OTHER_REPOSITORIES, "app"))
    shelf.push(2, "v1")
    assert shelf.tags()["v1"] == digest(2)


def test_rules_are_about_their_own_project(shelf: Shelf) -> None:
    other = Shelf("other")
    other.push(1, "v1")
    other.push(2, "v1")
    repositories.repository_delete(repository=other.repository)
    assert shelf.tags()["v1"] == digest(1)


def test_a_matcher_says_what_the_gate_says(shelf: Shelf) -> None:
    shelf.rule("**", repositories="base/**")
    with CaptureQueriesContext(connection) as captured:
        is_immutable = immutability.matcher_for(shelf.project)
        said = [is_immutable(path, tag) for path in ("app", "base/app") for tag in ("v1", "w1")]
    assert said == [True, False, True, True]
    assert len(captured) == 1
    decision = immutability.change_of_tag(shelf.project, "app", "v1")
    assert (decision.is_allowed, decision.rule) == (False, ImmutableRule.objects.earliest("pk").pk)
    assert immutability.change_of_tag(shelf.project, "app", "w1").is_allowed


# What it costs.


def cost(call: Callable[[], object]) -> int:
    """How often it asks for rules; and the tags are locked by a question that was asked before."""
    with CaptureQueriesContext(connection) as captured:
        call()
    asked = [query["sql"] for query in captured if "projects_immutablerule" in query["sql"]]
    locks = [query["sql"] for query in captured if "advisory" in query["sql"]]
    assert all("registry_tag" in sql or "registry_repository" in sql for sql in locks)
    return len(asked)


def test_a_project_without_rules_is_asked_once_for_a_move_and_never_for_a_new_tag() -> None:
    shelf = Shelf()
    shelf.push(2)
    assert cost(lambda: shelf.push(1, "a", "b", "c")) == 0
    assert cost(lambda: shelf.push(1, "a", "b", "c")) == 0
    assert cost(lambda: shelf.push(2, "a", "b", "c")) == 1
    assert cost(lambda: tags.tag_delete(repository_id=shelf.repository.pk, name="a", **WHO)) == 1
    assert cost(lambda: artifacts.artifact_delete(repository=shelf.repository, digest=digest(1), **WHO)) == 0
    assert cost(lambda: artifacts.artifact_delete(repository=shelf.repository, digest=digest(2), **WHO)) == 1


# Rules made at the moment of a change.


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Who changes a tag stops behind the gate: the first event says that it is there, the second lets it go on."""
    there, go_on = threading.Event(), threading.Event()
    passed = gates._immutable

    def pause(repository_id: int, names: Iterable[str]) -> tuple[str, str] | None:
        found = passed(repository_id, names)
        there.set()
        assert go_on.wait(20)
        return found

    monkeypatch.setattr(gates, "_immutable", pause)
    return there, go_on


CHANGES: dict[str, tuple[Try, str | None]] = {
    "move": (lambda at: at.push(2, "v1"), digest(2)),
    "delete of the tag": (lambda at: tags.tag_delete(repository_id=at.repository.pk, name="v1", **WHO), None),
    "delete of the artifact": (
        lambda at: artifacts.artifact_delete(repository=at.repository, digest=digest(1), **WHO),
        None,
    ),
    "delete of the repository": (lambda at: repositories.repository_delete(repository=at.repository), None),
}


@pytest.mark.parametrize("way", [*CHANGES, "rename"])
def test_a_rule_waits_for_changes_that_passed_before_it(
    paused: tuple[threading.Event, threading.Event], way: str
) -> None:
    """When the rule is answered for, the tag is where it will stay."""
    there, go_on = paused
    shelf = Shelf()
    shelf.push(1, "v1")
    change = CHANGES[way][0] if way in CHANGES else _renamed
    seen: list[str | None] = []

    def rule() -> None:
        assert there.wait(20)
        waiting = threading.Timer(0.3, go_on.set)
        waiting.start()
        shelf.rule("v*")
        assert go_on.is_set()  # it waited, or it would have been there before
        seen.append(shelf.tags().get("v1"))

    assert together(partial(change, shelf), rule)[1] is None
    if way in CHANGES:
        assert seen == [CHANGES[way][1]] == [shelf.tags().get("v1")]
    else:
        assert Repository.objects.get(pk=shelf.repository.pk).name == "renamed"


def _renamed(shelf: Shelf) -> object:
    return repositories.repository_rename(repository=shelf.repository, path="renamed")


def test_from_the_answer_on_no_push_moves_the_tag() -> None:
    """F-26: pushes in loops, rules that come and go; whoever sees the rule sees the tag for the last time move."""
    shelf = Shelf()
    for number in range(4):
        shelf.push(number, "v1")
    is_over = threading.Event()

    def push(first: int) -> int:
        refused = 0
        while not is_over.is_set():
            first += 1
            try:
                shelf.push(first % 4, "v1", f"own-{first % 4}")
            except Precondition:
                refused += 1
        return refused

    def switch() -> list[str]:
        moved: list[str] = []
        try:
            for _ in range(25):
                rule = shelf.rule("v*")
                before = shelf.tags()["v1"]
                moved += [now for now in (shelf.tags()["v1"] for _ in range(3)) if now != before]
                rules.rule_delete(rule=rule)
        finally:
            is_over.set()
        return moved

    moved, *refused = together(switch, *(partial(push, first) for first in range(3)))
    assert moved == []
    assert all(isinstance(count, int) for count in refused), refused
    assert sum(refused) > 0  # type: ignore[arg-type]


def test_a_hundred_rules_at_once_are_all_there_is_room_for() -> None:
    shelf = Shelf()
    for number in range(97):
        shelf.rule(f"v{number}")
    results = together(*(partial(shelf.rule, f"w{number}") for number in range(6)))
    assert sum(isinstance(result, ImmutableRule) for result in results) == 3
    assert ImmutableRule.objects.count() == 100


def test_a_rule_is_made_once_by_many_at_once() -> None:
    shelf = Shelf()
    results = together(*(partial(shelf.rule, "v*") for _ in range(5)))
    assert sum(isinstance(result, ImmutableRule) for result in results) == 1


def test_rules_are_held_until_the_transaction_ends() -> None:
    """The lock itself: shared among those who change tags, alone for who changes rules."""
    shelf = Shelf()
    shelf.push(1, "v1")
    rows = Tag.objects.annotate(held=immutability.rules_held("repository__project_id"))

    def is_free() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [immutability._LOCKS + shelf.project.pk])
            return bool(cursor.fetchone()[0])

    with transaction.atomic():
        assert len(rows) == 1
        assert together(is_free, lambda: len(rows.all())) == [False, 1]
    assert together(is_free) == [True]

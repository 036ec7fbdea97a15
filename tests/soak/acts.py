"""What people do to a registry: each act asks the server and the model for the same, and holds the statuses against
each other. ACTS is the table of all of them, each as often as it is to be drawn.
"""

from collections.abc import Callable

from tests.factories import ROLES as ROLE_NUMBERS
from tests.ociclient import HOW
from tests.soak.catalogue import BLOBS, DOCUMENTS
from tests.soak.model import DELETE, IMMUTABLE, PULL, PUSH, Repository, Session
from tests.soak.stage import NOBODY, OTHER, TAGS, Drawn, Stage

Act = Callable[[Stage, Drawn], None]
ACTS: list[Act] = []
RULE = {
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": f"{IMMUTABLE}*"}],
    "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
}


def often(times: int) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        ACTS.extend([act] * times)
        return act

    return register


# Manifests and tags.


@often(5)
def push_manifest(stage: Stage, drawn: Drawn) -> None:
    """Whether its parts are there or not."""
    repository = stage.at(drawn.place)
    document = stage.catalogue.documents[DOCUMENTS[drawn.number % len(DOCUMENTS)]]
    wanted = TAGS[drawn.number % 4 :][: drawn.number % 3]
    who = stage.person(drawn.kind, repository)
    answer = stage.put(stage.cast.clients[who], repository, document, wanted)
    stage.settle(answer, who, repository, PUSH, lambda: repository.manifest_put(document, wanted))


@often(10)
def push(stage: Stage, drawn: Drawn) -> None:
    """As clients do: what the server says it has is not sent again."""
    repository = stage.at(drawn.place)
    parts = stage.catalogue.parts(DOCUMENTS[drawn.number % len(DOCUMENTS)])
    for document in parts:
        push_blobs(stage, repository, document.blobs)
        wanted = [TAGS[drawn.number % 4]] if document is parts[-1] and drawn.number % 7 else []
        answer = stage.put(stage.insider(repository), repository, document, wanted)
        assert answer.status == repository.manifest_put(document, wanted), answer


def push_blobs(stage: Stage, repository: Repository, digests: tuple[str, ...]) -> None:
    client = stage.insider(repository)
    for digest in dict.fromkeys(digests):
        head = client.head_blob(repository.name, digest)
        assert head.status == repository.blob_read(digest), head
        if head.status == 404:
            client.push_blob(repository.name, stage.catalogue.contents[digest])
            repository.blob_put(digest)


@often(3)
def pull(stage: Stage, drawn: Drawn) -> None:
    """As clients do: everything, and every byte is right (I2, I3)."""
    repository = stage.at(drawn.place)
    who, tag = stage.person(drawn.kind, repository), stage.tag(repository, drawn.number)
    client = stage.cast.clients[who]
    answer = client.head_manifest(repository.name, tag)
    if stage.settle(answer, who, repository, PULL, lambda: 200 if tag in repository.tags else 404):
        got = client.pull(repository.name, tag)
        for part in stage.catalogue.parts(stage.catalogue.by_digest(repository.tags[tag]).name):
            assert got.keys() >= {part.digest, *part.blobs}
            repository.leased.update(part.blobs)


@often(4)
def delete_tag(stage: Stage, drawn: Drawn) -> None:
    repository = stage.at(drawn.place)
    who, tag = stage.person(drawn.kind, repository), stage.tag(repository, drawn.number)
    answer = stage.cast.clients[who].delete(repository.name, tag)
    stage.settle(answer, who, repository, DELETE, lambda: repository.tag_delete(tag))


@often(5)
def delete_manifest(stage: Stage, drawn: Drawn) -> None:
    """Alone."""
    repository = stage.at(drawn.place)
    who, digest = stage.person(drawn.kind, repository), stage.document(repository, drawn.number).digest
    answer = stage.cast.clients[who].delete(repository.name, digest)
    stage.settle(answer, who, repository, DELETE, lambda: repository.manifest_delete(digest))


@often(4)
def delete_artifact(stage: Stage, drawn: Drawn) -> None:
    """With what belongs to it."""
    repository = stage.at(drawn.place)
    digest = stage.document(repository, drawn.number).digest
    answer = stage.api(repository)("DELETE", f"{stage.path(repository)}/artifacts/{digest}")
    assert answer.status == repository.artifact_delete(digest), answer


@often(1)
def delete_repository(stage: Stage, drawn: Drawn) -> None:
    repository = stage.at(drawn.place)
    answer = stage.api(repository)("DELETE", stage.path(repository))
    assert answer.status == repository.delete(), answer
    if answer.status == 200:
        for session in [one for one in stage.registry.sessions if one.repository is repository]:
            stage.registry.sessions.remove(session)
            _assert_gone(stage, session)


@often(4)
def copy(stage: Stage, drawn: Drawn) -> None:
    if drawn.place == drawn.other:
        return
    repository, origin = stage.at(drawn.place), stage.at(drawn.other)
    who, digest = stage.person(drawn.kind, repository), stage.document(origin, drawn.number).digest
    path = f"{stage.path(repository)}/artifacts"
    answer = stage.cast.apis[who]("POST", path, query={"from": f"{origin.name}@{digest}"})
    if who is NOBODY:
        expected = 401
    elif not repository.project.may(who, PUSH):
        expected = 403 if repository.project.may(who, PULL) else 404
    elif not origin.project.may(who, PULL):
        expected = 404
    else:
        expected = repository.copy_from(origin, digest)
    assert answer.status == expected, answer


# Blobs.


@often(3)
def push_blob(stage: Stage, drawn: Drawn) -> None:
    repository, blob = stage.at(drawn.place), BLOBS[drawn.number % len(BLOBS)]
    who, digest = stage.person(drawn.kind, repository), stage.catalogue.digest(blob)
    how = sorted(HOW)[drawn.number % len(HOW)] if repository.project.may(who, PUSH) else "post_only"
    answer = HOW[how](stage.cast.clients[who], repository.name, stage.catalogue.blobs[blob], digest)
    stage.settle(answer, who, repository, PUSH, lambda: repository.blob_put(digest))


@often(3)
def read_blob(stage: Stage, drawn: Drawn) -> None:
    repository = stage.at(drawn.place)
    blob = stage.blob(repository, drawn.number)
    who, digest = stage.person(drawn.kind, repository), stage.catalogue.digest(blob)
    method = ("GET", "HEAD")[drawn.number % 2]
    answer = stage.cast.clients[who].request(method, f"/v2/{repository.name}/blobs/{digest}")
    if stage.settle(answer, who, repository, PULL, lambda: repository.blob_read(digest)):
        assert answer.headers["Content-Length"] == str(len(stage.catalogue.blobs[blob]))


@often(4)
def mount(stage: Stage, drawn: Drawn) -> None:
    """Without a source it may come from wherever the person can read; but the empty one is everywhere."""
    repository, source = stage.at(drawn.place), stage.at(drawn.other)
    blob, is_named = stage.blob(source, drawn.number), drawn.number % 3 > 0
    if not is_named and blob == "empty":
        return
    who, digest = stage.person(drawn.kind, repository), stage.catalogue.digest(blob)
    sources = [source] if is_named else list(stage.registry.repositories())
    is_seen = any(digest in one.blobs and one.project.may(who, PULL) for one in sources)
    answer = stage.cast.clients[who].mount(repository.name, digest, source.name if is_named else None)

    def change() -> int:
        if is_seen:
            return repository.blob_put(digest)
        repository.is_there = True
        return 202

    if stage.settle(answer, who, repository, PUSH, change) and answer.status == 202:
        stage.registry.sessions.append(Session(repository, answer.headers["Location"], blob))


@often(3)
def delete_blob(stage: Stage, drawn: Drawn) -> None:
    repository = stage.at(drawn.place)
    who = stage.person(drawn.kind, repository)
    digest = stage.catalogue.digest(stage.blob(repository, drawn.number))
    answer = stage.cast.clients[who].delete(repository.name, digest, "blobs")
    stage.settle(answer, who, repository, DELETE, lambda: repository.blob_delete(digest))


# Upload sessions.


@often(2)
def start_session(stage: Stage, drawn: Drawn) -> None:
    repository = stage.at(drawn.place)
    location = stage.insider(repository).session_of(repository.name)
    repository.is_there = True
    stage.registry.sessions.append(Session(repository, location, BLOBS[drawn.number % len(BLOBS)]))


@often(3)
def continue_session(stage: Stage, drawn: Drawn) -> None:
    if session := stage.session(drawn.number):
        piece = _rest(stage, session)[: (0, 1, 10, 40_000)[drawn.number % 4]]
        client = stage.insider(session.repository)
        answer = client.append(session.location, piece, chunked=drawn.number % 5 > 2)
        assert answer.status == 202, answer
        session.held += len(piece)
        _assert_offset(stage, session)


@often(1)
def continue_session_at_the_wrong_place(stage: Stage, drawn: Drawn) -> None:
    if session := stage.session(drawn.number):
        start = session.held - 1 if session.held > 0 and drawn.number % 2 else session.held + 1
        client = stage.insider(session.repository)
        answer = client.append(session.location, b"wrong", content_range=f"{start}-{start + 4}")
        assert (answer.status, answer.codes) == (416, ["BLOB_UPLOAD_INVALID"]), answer
        _assert_offset(stage, session)


@often(3)
def finish_session(stage: Stage, drawn: Drawn) -> None:
    """With other bytes than its digest says, it is over."""
    if session := stage.session(drawn.number):
        is_right, digest = drawn.number % 4 > 0, stage.catalogue.digest(session.blob)
        body = _rest(stage, session) + (b"" if is_right else b"more")
        answer = stage.insider(session.repository).finish(session.location, digest, body)
        stage.registry.sessions.remove(session)
        assert answer.status == (session.repository.blob_put(digest) if is_right else 400), answer
        _assert_gone(stage, session)


@often(1)
def cancel_session(stage: Stage, drawn: Drawn) -> None:
    if session := stage.session(drawn.number):
        stage.registry.sessions.remove(session)
        assert stage.insider(session.repository).request("DELETE", session.location).status == 204
        _assert_gone(stage, session)


def _rest(stage: Stage, session: Session) -> bytes:
    return stage.catalogue.blobs[session.blob][session.held :]


def _assert_offset(stage: Stage, session: Session) -> None:
    answer = stage.insider(session.repository).request("GET", session.location)
    assert (answer.status, answer.headers["Range"]) == (204, f"0-{max(session.held - 1, 0)}"), answer


def _assert_gone(stage: Stage, session: Session) -> None:
    answer = stage.insider(session.repository).request("GET", session.location)
    assert answer.status == 404, answer


# Who may, and what is ruled.


@often(1)
def set_visibility(stage: Stage, drawn: Drawn) -> None:
    project = stage.at(drawn.place).project
    project.is_public = drawn.number % 2 == 0
    metadata = {"metadata": {"public": str(project.is_public).lower()}}
    stage.cast.admin.done("PUT", f"/projects/{project.name}", metadata)


@often(2)
def set_role(stage: Stage, drawn: Drawn) -> None:
    """The other one gets a role in our project, another one, or loses it."""
    project = stage.at("ours/app").project
    role = [None, *sorted(ROLE_NUMBERS)][drawn.number % 6]
    member = {"project": project.name, "username": stage.cast.accounts[OTHER].login}
    was = project.roles.pop(OTHER, None)
    if role is not None:
        project.roles[OTHER] = role
        stage.cast.scene.world.clerk("member_set_role" if was else "member_add", **member, role=ROLE_NUMBERS[role])
    elif was:
        stage.cast.scene.world.clerk("member_remove", **member)


@often(2)
def switch_rule(stage: Stage, drawn: Drawn) -> None:
    """Tags that begin with v become immutable, or are so no more."""
    project = stage.at(drawn.place).project
    path = f"/projects/{project.name}/immutabletagrules"
    if project.name not in stage.rules:
        stage.rules[project.name] = stage.cast.admin.create_id(path, RULE)
    else:
        stage.cast.admin.done("PUT", f"{path}/{stage.rules[project.name]}", {**RULE, "disabled": project.is_ruled})
    project.is_ruled = not project.is_ruled
    for repository in project.repositories.values():
        stage.sealed.pop(repository.name, None)


# The recycle bin.


@often(4)
def restore(stage: Stage, drawn: Drawn) -> None:
    """Something that was deleted."""
    project = stage.at(drawn.place).project
    shown = stage.cast.admin.all(f"/projects/{project.name}/deletions", page_size=100, sort="id")
    assert [row["repository"] for row in shown] == [
        deletion.repository.name.partition("/")[2] for deletion in project.bin
    ]
    if project.bin:
        number = drawn.number % len(project.bin)
        deletion = project.bin[number]
        stage.touched.add(deletion.repository.name)
        path = f"/projects/{project.name}/deletions/{shown[number]['id']}/restore"
        answer = stage.api(deletion.repository)("POST", path)
        assert answer.status == deletion.repository.restore(deletion), answer


@often(2)
def restore_artifact(stage: Stage, drawn: Drawn) -> None:
    """By its digest, whether it was deleted or never was there."""
    repository = stage.at(drawn.place)
    kept = [one for deletion in repository.project.bin for one in deletion.manifests.values()]
    document = kept[drawn.number % len(kept)] if kept else stage.document(repository, drawn.number)
    answer = stage.api(repository)("POST", f"{stage.path(repository)}/artifacts/{document.digest}/restore")
    assert answer.status == repository.artifact_restore(document.digest), answer

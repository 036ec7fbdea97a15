"""Manifest reads answered from memory, in front of Django; never stale after an acknowledged change.

A view that answered a manifest read leaves a `Note` in the request's environment: what it found and by which rights.
This wrapper keeps the answer with the marks (`harborlite.generations`) of everything it depends on: the repository,
the project, the account behind the token. The next read of the same path is answered from memory if all marks are
as they were and the caller's token, verified before, grants the pull. Everything else goes on to Django; no rule is
decided here that the views don't decide.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harborlite import generations
from harborlite.actors import ANONYMOUS, Actor
from harborlite.http import client_address
from registry.access import Caller
from registry.queries import FoundManifest
from registry.routing import Target
from registry.tokens import Token
from system.events import Artifact, pulled

NOTE = "harborlite.note"
MAX_BYTES = 64 * 1024 * 1024  # of manifests a process
MAX_TOKENS = 10_000
Headers = list[tuple[str, str]]
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Note:
    """What a view found for a manifest read that it answered with 200."""

    caller: Caller
    target: Target
    manifest: FoundManifest
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class Marked:
    """Something remembered: good while `slot` holds `mark`, and not for long (generations.MAX_AGE)."""

    slots: tuple[int, ...]
    marks: tuple[int, ...]
    good_until: float

    def is_good(self) -> bool:
        return time.monotonic() < self.good_until and self.marks == tuple(map(generations.value, self.slots))


@dataclass(frozen=True, slots=True)
class Answer:
    marked: Marked
    name: str
    project_id: int
    project_version: int
    is_public: bool
    headers: Headers
    content: bytes
    artifact: Artifact


class HotReads:
    """A WSGI application around Django's."""

    def __init__(self, application: WSGI) -> None:
        self.application = application
        self.answers: dict[str, Answer] = {}
        self.tokens: dict[str, tuple[Marked, Token]] = {}
        self.hosts: set[str] = set()
        self.size = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not (generations.ENABLED and "/manifests/" in path and environ["REQUEST_METHOD"] in ("GET", "HEAD")):
            return self.application(environ, start_response)
        answer = self.answers.get(path)
        actor = self._asker(environ, answer) if answer is not None else None
        if answer is not None and actor is not None:
            request_id = uuid.uuid4().hex
            start_response("200 OK", [*answer.headers, ("X-Request-Id", request_id)])
            if environ["REQUEST_METHOD"] == "HEAD":
                return []
            pulled(answer.artifact, actor, client_address(environ), request_id)
            return [answer.content]
        return self._learn(path, environ, start_response)

    def _asker(self, environ: dict[str, Any], answer: Answer) -> Actor | None:
        """Who asks, if they may have the answer and it is still good."""
        if (
            not answer.marked.is_good()
            or environ.get("HTTP_HOST") not in self.hosts
            or "%" in environ["RAW_URI"]
            or "HTTP_IF_NONE_MATCH" in environ
            or "HTTP_X_REQUEST_ID" in environ
        ):
            return None
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None:
            return ANONYMOUS if answer.is_public else None
        known = self.tokens.get(header)
        if known is None or known[1].expires_at <= time.time() or not known[0].is_good():
            return None
        grant = known[1].grants.get(answer.name)
        may_pull = (
            grant is not None
            and "pull" in grant.granted
            and (grant.project_id, grant.project_version) == (answer.project_id, answer.project_version)
        )
        return known[1].actor if may_pull else None

    def _learn(self, path: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Django answers; afterwards the answer is remembered, unless anything at all changed meanwhile."""
        epoch = generations.value(generations.EPOCH)
        sent: list[tuple[str, Headers]] = []

        def watch(status: str, headers: Headers, *exc_info: Any) -> Any:
            sent.append((status, headers))
            return start_response(status, headers, *exc_info)

        result = self.application(environ, watch)
        note: Note | None = environ.pop(NOTE, None)
        if note is not None and sent and sent[0][0].startswith("200"):
            self._remember(path, environ, note, sent[0][1], epoch)
        return result

    def _remember(self, path: str, environ: dict[str, Any], note: Note, headers: Headers, epoch: int) -> None:
        project, token = note.target.project, note.caller.token
        if project is None or note.target.repository_id is None:
            return
        content = _marked(("project", project.pk), ("repository", note.target.repository_id))
        account = _marked(("user", note.caller.actor.user_id or 0))
        if generations.value(generations.EPOCH) != epoch:
            return
        if self.size > MAX_BYTES:
            self.answers, self.size = {}, 0
        if len(self.tokens) > MAX_TOKENS:
            self.tokens = {}
        self.size += len(note.manifest.content) + 2048
        self.hosts.add(environ["HTTP_HOST"])
        self.answers[path] = Answer(
            content,
            note.target.name,
            project.pk,
            project.access_version,
            project.is_public,
            [(name, value) for name, value in headers if name != "X-Request-Id"],
            note.manifest.content,
            note.artifact,
        )
        if token is not None:
            self.tokens[environ["HTTP_AUTHORIZATION"]] = (account, token)


def _marked(*things: tuple[str, int]) -> Marked:
    slots = tuple(generations.slot(kind, key) for kind, key in things)
    return Marked(slots, tuple(map(generations.value, slots)), time.monotonic() + generations.MAX_AGE)

"""Another registry, on loopback, that does as it is told: it counts, delays, truncates, lies and fails on demand.

    with FakeRegistry() as fake:
        image = fake.image("library/alpine", "3.20")
        fake.rule("GET", "/blobs/", status(503), times=2)      the next two such requests
        ...
        assert fake.count("GET", "/blobs/") == 3

A real registry in small: blobs, manifests, tags, uploads with PATCH, mounts, referrers, catalog, lists in pages; with
nobody, Basic or Bearer before it, plain or over TLS. Rules are tried in order before it answers, the first that fits
and has not been used up acts; a rule that only changes the answer lets the registry make it first.
"""

import base64
import hashlib
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.images import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    Image,
    descriptor,
    dump,
    image_manifest,
    index_manifest,
    sha256,
    unique,
)
from tests.remote_acts import Action, Asked, Given, error
from tests.remote_server import Server

JSON = "application/json"


@dataclass
class Rule:
    method: str
    pattern: re.Pattern[str]
    action: Action
    left: int | None

    def fits(self, asked: Asked) -> bool:
        return self.left != 0 and self.method in ("*", asked.method) and self.pattern.search(asked.path) is not None


class FakeRegistry:
    """The registry; runs while it is entered. `auth` is "", "basic" or "bearer", with `username` and `password`.

    `referrers` is whether it has the referrers API, `ranges` whether it knows parts of a blob, `resume` whether what
    came of a broken PATCH is kept.
    """

    def __init__(
        self,
        *,
        auth: str = "",
        username: str = "robot",
        password: str = "Right-password-1",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        referrers: bool = True,
        ranges: bool = True,
        resume: bool = True,
        page: int = 1000,
    ) -> None:
        self.auth, self.username, self.password = auth, username, password
        self.referrers, self.ranges, self.resume, self.page = referrers, ranges, resume, page
        self.realm = ""
        """Of the challenge, when it is not our own."""
        self.token_seconds: int | None = 300
        self.lock = threading.RLock()
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, tuple[str, bytearray]] = {}
        self.tokens: dict[str, set[str]] = {}
        self.requests: list[Asked] = []
        self.rules: list[Rule] = []
        self.server = Server(host, self.answer)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self.server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    # Telling it what to do, and asking what it saw.

    def rule(self, method: str, pattern: str, action: Action, times: int | None = None) -> Rule:
        """Requests of `method` (`*`: any) whose path has `pattern` are acted on, the next `times` or all."""
        rule = Rule(method, re.compile(pattern), action, times)
        with self.lock:
            self.rules.append(rule)
        return rule

    def obey(self) -> None:
        """From now on it is an honest registry."""
        with self.lock:
            self.rules.clear()

    def forget(self) -> None:
        """It has seen no request."""
        with self.lock:
            self.requests.clear()

    def seen(self, method: str = "*", pattern: str = "") -> list[Asked]:
        with self.lock:
            return [a for a in self.requests if method in ("*", a.method) and re.search(pattern, a.path)]

    def count(self, method: str = "*", pattern: str = "") -> int:
        return len(self.seen(method, pattern))

    # What it holds.

    def blob(self, repository: str, content: bytes) -> str:
        with self.lock:
            self.blobs.setdefault(repository, {})[sha256(content)] = content
        return sha256(content)

    def manifest(self, repository: str, content: bytes, media_type: str, tag: str | None = None) -> str:
        with self.lock:
            self.manifests.setdefault(repository, {})[sha256(content)] = (media_type, content)
            if tag:
                self.tags.setdefault(repository, {})[tag] = sha256(content)
        return sha256(content)

    def image(
        self, repository: str, tag: str | None = None, *, layers: int = 1, size: int = 100, **further: object
    ) -> Image:
        """A new image; `further` are fields of its manifest."""
        contents = tuple(unique(size) for _ in range(layers))
        config = dump({"architecture": "amd64", "os": "linux", "id": secrets.token_hex(8)})
        for content in (config, *contents):
            self.blob(repository, content)
        document = image_manifest(
            descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER) for layer in contents], **further
        )
        content = dump(document)
        digest = self.manifest(repository, content, str(document["mediaType"]), tag)
        return Image(repository, digest, str(document["mediaType"]), content, config, contents)

    def index(self, repository: str, tag: str | None, children: list[Image], **further: object) -> Image:
        content = dump(index_manifest([child.descriptor for child in children], **further))
        digest = self.manifest(repository, content, OCI_INDEX, tag)
        return Image(repository, digest, OCI_INDEX, content)

    # How it answers.

    def answer(self, asked: Asked) -> Given | None:
        with self.lock:
            self.requests.append(asked)
            rule = next((rule for rule in self.rules if rule.fits(asked)), None)
            if rule is not None and rule.left is not None:
                rule.left -= 1
        if rule is not None:
            return rule.action(asked, lambda: self._answer(asked))
        return self._answer(asked)

    def _answer(self, asked: Asked) -> Given:
        path = urlsplit(asked.path).path
        if path == "/token":
            return self._token(asked)
        repository, action = _meant(asked.method, path)
        if not self._is_known(asked, repository, action):
            return self._challenge(repository, action)
        with self.lock:
            for pattern, serve in _ROUTES:
                if found := pattern.fullmatch(path):
                    return serve(self, asked, *found.groups())
        return error(404, "NOT_FOUND")

    def _token(self, asked: Asked) -> Given:
        if asked.authorization and asked.authorization != self._basic:
            return error(401, "UNAUTHORIZED")
        token = secrets.token_urlsafe(16)
        scopes = parse_qs(urlsplit(asked.path).query).get("scope", [])
        self.tokens[token] = {f"{s.rsplit(':', 1)[0]}:{a}" for s in scopes for a in s.rsplit(":", 1)[-1].split(",")}
        if not asked.authorization:
            self.tokens[token] = set()
        seconds = {} if self.token_seconds is None else {"expires_in": self.token_seconds}
        return Given(200, {"Content-Type": JSON}, dump({"token": token, **seconds}))

    @property
    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def _is_known(self, asked: Asked, repository: str, action: str) -> bool:
        if self.auth == "basic":
            return asked.authorization == self._basic
        if self.auth == "bearer":
            granted = self.tokens.get(asked.authorization.removeprefix("Bearer "))
            return granted is not None and (not repository or f"{repository}:{action}" in granted)
        return True

    def _challenge(self, repository: str, action: str) -> Given:
        if self.auth == "basic":
            challenge = 'Basic realm="fake"'
        else:
            actions = {"push": "pull,push"}.get(action, action)
            scope = f',scope="{repository}:{actions}"' if repository else ""
            challenge = f'Bearer realm="{self.realm or self.url + "/token"}",service="fake"{scope}'
        given = error(401, "UNAUTHORIZED")
        given.headers["WWW-Authenticate"] = challenge
        return given

    def _root(self, asked: Asked) -> Given:
        return Given(200, {"Content-Type": JSON, "Docker-Distribution-Api-Version": "registry/2.0"}, b"{}")

    def _catalog(self, asked: Asked) -> Given:
        return self._list(asked, "repositories", sorted({*self.manifests, *self.blobs}), "/v2/_catalog")

    def _tag_list(self, asked: Asked, name: str) -> Given:
        if name not in self.manifests:
            return error(404, "NAME_UNKNOWN")
        tags = sorted(self.tags.get(name, {}))
        return self._list(asked, "tags", tags, f"/v2/{name}/tags/list", name=name)

    def _list(self, asked: Asked, key: str, items: list[str], path: str, **further: str) -> Given:
        last = asked.query.get("last", "")
        left = [item for item in items if item > last]
        size = min(self.page, int(asked.query.get("n", self.page)))
        page = left[:size]
        headers = {"Content-Type": JSON}
        if len(left) > size:
            headers["Link"] = f'<{path}?last={page[-1]}&n={size}>; rel="next"'
        return Given(200, headers, dump({**further, key: page}))

    def _manifest(self, asked: Asked, name: str, reference: str) -> Given:
        held = self.manifests.setdefault(name, {}) if asked.method == "PUT" else self.manifests.get(name, {})
        if asked.method == "PUT":
            return self._manifest_put(asked, name, reference)
        digest = reference if ":" in reference else self.tags.get(name, {}).get(reference, "")
        if digest not in held:
            return error(404, "MANIFEST_UNKNOWN")
        if asked.method == "DELETE":
            if ":" in reference:
                del held[digest]
            self.tags[name] = {t: d for t, d in self.tags.get(name, {}).items() if t != reference and d in held}
            return Given(202)
        media_type, content = held[digest]
        return Given(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, content)

    def _manifest_put(self, asked: Asked, name: str, reference: str) -> Given:
        document = json.loads(asked.body)
        blobs = [entry["digest"] for entry in (document.get("config"), *document.get("layers", ())) if entry]
        children = [entry["digest"] for entry in document.get("manifests", ())]
        if any(digest not in self.blobs.get(name, {}) for digest in blobs):
            return error(404, "MANIFEST_BLOB_UNKNOWN")
        if any(digest not in self.manifests[name] for digest in children):
            return error(404, "MANIFEST_BLOB_UNKNOWN")
        digest = sha256(asked.body)
        if ":" in reference and reference != digest:
            return error(400, "DIGEST_INVALID")
        self.manifest(name, asked.body, asked.headers["Content-Type"], None if ":" in reference else reference)
        return Given(201, {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest})

    def _referrers(self, asked: Asked, name: str, digest: str) -> Given:
        if not self.referrers:
            return error(404, "NOT_FOUND")
        found = []
        for held, (media_type, content) in self.manifests.get(name, {}).items():
            document = json.loads(content)
            if document.get("subject", {}).get("digest") == digest:
                kind = document.get("artifactType", document.get("config", {}).get("mediaType"))
                found.append(descriptor(content, media_type, digest=held, artifactType=kind))
        return Given(200, {"Content-Type": OCI_INDEX}, dump(index_manifest(found)))

    def _blob(self, asked: Asked, name: str, digest: str) -> Given:
        held = self.blobs.get(name, {})
        if digest not in held:
            return error(404, "BLOB_UNKNOWN")
        if asked.method == "DELETE":
            del held[digest]
            return Given(202)
        content = held[digest]
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("Range", ""))
        if part is None or not self.ranges:
            return Given(200, headers, content)
        start, end = int(part[1]), min(int(part[2] or len(content) - 1), len(content) - 1)
        if start > end:
            return Given(416, headers)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return Given(206, headers, content[start : end + 1])

    def _upload_start(self, asked: Asked, name: str) -> Given:
        mount, source = asked.query.get("mount", ""), asked.query.get("from", "")
        if mount in self.blobs.get(source, {}):
            self.blob(name, self.blobs[source][mount])
            return Given(201, {"Location": f"/v2/{name}/blobs/{mount}", "Docker-Content-Digest": mount})
        session = secrets.token_hex(8)
        self.uploads[session] = (name, bytearray())
        return self._upload_state(202, name, session)

    def _upload(self, asked: Asked, name: str, session: str) -> Given:
        if session not in self.uploads:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        held = self.uploads[session][1]
        if asked.method == "GET":
            return self._upload_state(204, name, session)
        if asked.method == "DELETE":
            del self.uploads[session]
            return Given(204)
        start = asked.headers.get("Content-Range", f"{len(held)}-").partition("-")[0]
        if int(start) != len(held):
            return error(416, "BLOB_UPLOAD_INVALID")
        is_whole = len(asked.body) == int(asked.headers.get("Content-Length", len(asked.body)))
        if is_whole or self.resume:
            held += asked.body
        if asked.method == "PATCH":
            return self._upload_state(202, name, session)
        del self.uploads[session]
        digest = asked.query.get("digest", "")
        if f"sha256:{hashlib.sha256(held).hexdigest()}" != digest:
            return error(400, "DIGEST_INVALID")
        self.blob(name, bytes(held))
        return Given(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _upload_state(self, code: int, name: str, session: str) -> Given:
        reached = max(0, len(self.uploads[session][1]) - 1)
        headers = {"Location": f"/v2/{name}/blobs/uploads/{session}?_state=x", "Range": f"0-{reached}"}
        return Given(code, headers)


_NAME = r"([a-z0-9._/-]+)"
_ROUTES: list[tuple[re.Pattern[str], Callable[..., Given]]] = [
    (re.compile(pattern), serve)
    for pattern, serve in (
        (r"/v2/", FakeRegistry._root),
        (r"/v2/_catalog", FakeRegistry._catalog),
        (rf"/v2/{_NAME}/tags/list", FakeRegistry._tag_list),
        (rf"/v2/{_NAME}/manifests/([^/]+)", FakeRegistry._manifest),
        (rf"/v2/{_NAME}/referrers/([^/]+)", FakeRegistry._referrers),
        (rf"/v2/{_NAME}/blobs/uploads/", FakeRegistry._upload_start),
        (rf"/v2/{_NAME}/blobs/uploads/([^/]+)", FakeRegistry._upload),
        (rf"/v2/{_NAME}/blobs/([^/]+)", FakeRegistry._blob),
    )
]


def _meant(method: str, path: str) -> tuple[str, str]:
    """The resource in a scope's words, and the action on it; no resource for /v2/ itself."""
    if path == "/v2/_catalog":
        return "registry:catalog", "*"
    found = re.match(rf"/v2/{_NAME}/(?:tags|manifests|referrers|blobs)/", path)
    if found is None:
        return "", ""
    action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "push")
    return f"repository:{found[1]}", "push" if "/uploads/" in path else action

"""The player: pushes and pulls over HTTP as docker does, and checks every byte it gets.

    Client(url, username, secret)   asks without credentials, gets a Bearer challenge, fetches a token for its scopes
                                    (Basic, or anonymous without a username), asks again; keeps tokens by scope

Every request returns an `Answer` whatever its status. `push_image`, `pull` and their like assert instead.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from tests.images import (
    DOCKER_IMAGE,
    DOCKER_INDEX,
    EMPTY,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    Image,
    descriptor,
    digest_like,
    dump,
    image_manifest,
    index_manifest,
    sha256,
    unique,
)
from tests.wire import TIMEOUT, Answer, basic, bearer

ACCEPT = ", ".join((OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_INDEX))

_REPOSITORY = re.compile(r"/v2/(?P<name>.+)/(?:manifests|blobs|tags|referrers)/")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Client:
    """Somebody who talks to the registry; an anonymous one without `username`. To be closed."""

    def __init__(self, url: str, username: str = "", secret: str = "") -> None:
        self.url = url
        self.username, self.secret = username, secret
        self.session = requests.Session()
        self.session.trust_env = False
        self.tokens: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        self.session.close()

    @property
    def host(self) -> str:
        """For the Host header."""
        return urlsplit(self.url).netloc

    # Requests.

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        params: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """One request without any credentials but those in `headers`. Redirects are followed."""
        url = urljoin(self.url, path)
        if params:
            url += ("&" if urlsplit(url).query else "?") + urlencode(params, safe=":/")
        data: Any = _pieces(body or b"") if chunked else body
        response = self.session.request(method, url, headers=dict(headers or {}), data=data, timeout=TIMEOUT)
        return Answer(response.status_code, response.headers, response.content)

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        params: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """One request as docker sends it: with a kept token, else after the challenge with a new one."""
        headers = dict(headers or {})

        def attempt(token: str | None) -> Answer:
            credentials = bearer(token) if token else {}
            return self.send(
                method, path, headers={**headers, **credentials}, body=body, chunked=chunked, params=params
            )

        key = _scope_key(method, urlsplit(urljoin(self.url, path)).path)
        if key[1] == "pull" and (key[0], "push") in self.tokens:
            key = (key[0], "push")  # whose challenge asks for both
        kept = self.tokens.get(key)
        answer = attempt(kept)
        if answer.status == 401 and kept is not None:
            # It died (expired, or what it was granted changed): without it comes a new challenge.
            del self.tokens[key]
            answer = attempt(None)
        if answer.status == 401 and (challenge := answer.headers.get("WWW-Authenticate", "")).startswith("Bearer "):
            granted = self.token_for(challenge)
            if granted.status != 200:
                return granted
            self.tokens[key] = granted.json()["token"]
            answer = attempt(self.tokens[key])
        return answer

    def token_for(self, challenge: str) -> Answer:
        """The token service's answer to a Bearer challenge."""
        parameters = dict(_PARAMETER.findall(challenge))
        scopes = parameters.get("scope", "").split(" ")
        return self.token(*filter(None, scopes), realm=parameters["realm"], service=parameters["service"])

    def token(self, *scopes: str, realm: str = "/service/token", service: str = "harborlite") -> Answer:
        credentials = basic(self.username, self.secret) if self.username else {}
        params = [("service", service), *(("scope", scope) for scope in scopes)]
        return self.send("GET", realm, headers=credentials, params=params)

    def token_text(self, *scopes: str) -> str:
        answer = self.token(*scopes)
        assert answer.status == 200, answer
        return str(answer.json()["token"])

    # Blobs.

    def push_blob(self, repository: str, content: bytes, how: str = "post_only", digest: str | None = None) -> str:
        """The blob's digest, once it is pushed; `how` is a key of HOW."""
        digest = digest or sha256(content)
        answer = HOW[how](self, repository, content, digest)
        assert answer.status == 201, answer
        assert answer.headers["Docker-Content-Digest"] == digest
        return digest

    def start(self, repository: str, **params: str) -> Answer:
        return self.request("POST", f"/v2/{repository}/blobs/uploads/", params=list(params.items()))

    def session_of(self, repository: str, **params: str) -> str:
        """The Location of a new upload session."""
        answer = self.start(repository, **params)
        assert answer.status == 202, answer
        return answer.headers["Location"]

    def finish(self, location: str, digest: str, body: bytes = b"", **headers: str) -> Answer:
        return self.request("PUT", location, headers=_octets(headers), body=body, params=[("digest", digest)])

    def append(self, location: str, body: bytes, *, chunked: bool = False, **headers: str) -> Answer:
        return self.request("PATCH", location, headers=_octets(headers), body=body, chunked=chunked)

    def mount(self, repository: str, digest: str, source: str | None = None) -> Answer:
        source_parameter = [("from", source)] if source is not None else []
        params = [("mount", digest), *source_parameter]
        return self.request("POST", f"/v2/{repository}/blobs/uploads/", params=params)

    def get_blob(self, repository: str, digest: str, **headers: str) -> Answer:
        return self.request("GET", f"/v2/{repository}/blobs/{digest}", headers=_named(headers))

    def head_blob(self, repository: str, digest: str) -> Answer:
        return self.request("HEAD", f"/v2/{repository}/blobs/{digest}")

    # Manifests.

    def push_manifest(
        self,
        repository: str,
        reference: str,
        manifest: bytes | Mapping[str, object],
        media_type: str | None = None,
        *,
        tags: Iterable[str] = (),
        chunked: bool = False,
    ) -> Answer:
        content = manifest if isinstance(manifest, bytes) else dump(manifest)
        if media_type is None:
            media_type = OCI_IMAGE if isinstance(manifest, bytes) else str(manifest.get("mediaType", OCI_IMAGE))
        return self.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            headers={"Content-Type": media_type},
            body=content,
            chunked=chunked,
            params=[("tag", tag) for tag in tags],
        )

    def get_manifest(self, repository: str, reference: str, **headers: str) -> Answer:
        named = {"Accept": ACCEPT, **_named(headers)}
        return self.request("GET", f"/v2/{repository}/manifests/{reference}", headers=named)

    def head_manifest(self, repository: str, reference: str) -> Answer:
        return self.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})

    def delete(self, repository: str, reference: str, kind: str = "manifests") -> Answer:
        return self.request("DELETE", f"/v2/{repository}/{kind}/{reference}")

    # Whole images.

    def push_image(
        self, repository: str, tag: str | None = None, *, layers: int = 1, how: str = "post_only", **further: object
    ) -> Image:
        """A new image with contents of its own, pushed layers first; under its digest alone when there is no tag."""
        contents = tuple(unique() for _ in range(layers))
        config = dump({"architecture": "amd64", "os": "linux", "id": secrets.token_hex(8)})
        for content in (*contents, config):
            self.push_blob(repository, content, how)
        document = image_manifest(
            descriptor(config, OCI_CONFIG), [descriptor(layer, OCI_LAYER) for layer in contents], **further
        )
        return self._put(repository, tag, document, config, contents)

    def push_index(self, repository: str, tag: str | None, children: Iterable[Image], **further: object) -> Image:
        """An index of images that are in the repository already."""
        return self._put(repository, tag, index_manifest([child.descriptor for child in children], **further))

    def attach(self, subject: Image, artifact_type: str, tag: str | None = None, **further: object) -> Image:
        """An artifact that refers to `subject`, with the empty config and one layer."""
        self.push_blob(subject.repository, EMPTY)
        layer = unique()
        self.push_blob(subject.repository, layer)
        document = image_manifest(
            descriptor(EMPTY, OCI_EMPTY),
            [descriptor(layer, "application/octet-stream")],
            artifactType=artifact_type,
            subject=subject.descriptor,
            **further,
        )
        return self._put(subject.repository, tag, document, EMPTY, (layer,))

    def _put(
        self,
        repository: str,
        tag: str | None,
        document: Mapping[str, object],
        config: bytes = b"",
        layers: tuple[bytes, ...] = (),
    ) -> Image:
        content = dump(document)
        digest = sha256(content)
        answer = self.push_manifest(repository, tag or digest, document)
        assert answer.status == 201, answer
        assert answer.headers["Docker-Content-Digest"] == digest
        return Image(repository, digest, str(document["mediaType"]), content, config, layers)

    def pull(self, repository: str, reference: str) -> dict[str, bytes]:
        """Every byte under `reference` by digest, each checked against its digest and size."""
        got: dict[str, bytes] = {}
        answer = self.get_manifest(repository, reference)
        assert answer.status == 200, answer
        self._pull_manifest(repository, answer, got)
        return got

    def _pull_manifest(self, repository: str, answer: Answer, got: dict[str, bytes]) -> None:
        digest = answer.headers["Docker-Content-Digest"]
        assert digest_like(digest, answer.body) == digest, "the manifest's bytes are not those of its digest"
        got[digest] = answer.body
        document = answer.json()
        assert answer.headers["Content-Type"] == document.get("mediaType", answer.headers["Content-Type"])
        for child in document.get("manifests", ()):
            below = self.get_manifest(repository, child["digest"])
            assert below.status == 200, below
            assert below.headers["Docker-Content-Digest"] == child["digest"]
            self._pull_manifest(repository, below, got)
        for blob in [*filter(None, [document.get("config")]), *document.get("layers", ())]:
            if "urls" in blob and self.head_blob(repository, blob["digest"]).status == 404:
                continue
            found = self.get_blob(repository, blob["digest"])
            assert found.status == 200, found
            assert len(found.body) == blob["size"]
            assert digest_like(blob["digest"], found.body) == blob["digest"], "the blob's bytes are not its digest's"
            got[blob["digest"]] = found.body

    # Lists.

    def pages(self, path: str, **params: str) -> Iterator[Answer]:
        """The answers of a paged list, by following Link."""
        answer = self.request("GET", path, params=list(params.items()))
        yield answer
        followed = set()
        while (following := answer.next_page) is not None:
            assert following not in followed, f"the pages go round at {following}"
            followed.add(following)
            answer = self.request("GET", following)
            yield answer

    def tags(self, repository: str, n: int | None = None) -> list[str]:
        params = {} if n is None else {"n": str(n)}
        return [t for page in self.pages(f"/v2/{repository}/tags/list", **params) for t in page.json()["tags"]]

    def catalog(self, n: int | None = None) -> list[str]:
        params = {} if n is None else {"n": str(n)}
        return [name for page in self.pages("/v2/_catalog", **params) for name in page.json()["repositories"]]

    def referrers(self, repository: str, digest: str, artifact_type: str | None = None) -> list[dict[str, Any]]:
        params = {} if artifact_type is None else {"artifactType": artifact_type}
        pages = self.pages(f"/v2/{repository}/referrers/{digest}", **params)
        return [entry for page in pages for entry in page.json()["manifests"]]


def _scope_key(method: str, path: str) -> tuple[str, str]:
    """Which of a client's tokens a request takes: one for each repository and kind of action."""
    match = _REPOSITORY.match(path)
    return (match["name"] if match else path, _ACTIONS.get(method, "push"))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names from keyword arguments: `content_range` is Content-Range."""
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


def _octets(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", **_named(headers)}


def _pieces(content: bytes, size: int = 7000) -> Iterator[bytes]:
    """For a request of chunked framing."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


# The ways to push a blob that the spec knows.


def _post_put(client: Client, repository: str, content: bytes, digest: str) -> Answer:
    return client.finish(client.session_of(repository), digest, content)


def _post_only(client: Client, repository: str, content: bytes, digest: str) -> Answer:
    path = f"/v2/{repository}/blobs/uploads/"
    return client.request("POST", path, headers=_octets({}), body=content, params=[("digest", digest)])


def _stream(client: Client, repository: str, content: bytes, digest: str) -> Answer:
    answer = client.append(client.session_of(repository), content, chunked=True)
    assert answer.status == 202, answer
    return client.finish(answer.headers["Location"], digest)


def _chunked(client: Client, repository: str, content: bytes, digest: str) -> Answer:
    location, size = client.session_of(repository), max(len(content) // 3, 1)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        answer = client.append(location, piece, content_range=f"{start}-{start + len(piece) - 1}")
        assert answer.status == 202, answer
        location = answer.headers["Location"]
    return client.finish(location, digest)


def _patch_put(client: Client, repository: str, content: bytes, digest: str) -> Answer:
    half = len(content) // 2
    answer = client.append(client.session_of(repository), content[:half])
    assert answer.status == 202, answer
    rest = {"content_range": f"{half}-{len(content) - 1}"} if content[half:] else {}
    return client.finish(answer.headers["Location"], digest, content[half:], **rest)


HOW: Mapping[str, Callable[[Client, str, bytes, str], Answer]] = {
    "post_put": _post_put,
    "post_only": _post_only,
    "stream": _stream,
    "chunked": _chunked,
    "patch_put": _patch_put,
}

"""A client of another registry: the OCI distribution protocol 1.1 as far as docker-registry 2.8 and later speak it.

    RegistryClient   ping; tags and repositories; manifests and blobs, read and written; referrers; deletions
    remotes.uploads  how a blob gets there
    remotes.login    401 and what to answer

Whatever comes in is checked: bytes against their digest, media types against what was asked for, links and names
against the protocol's grammar. Raises what remotes.errors has, and nothing else.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from remotes.documents import descriptors_of, document_of, texts_of
from remotes.errors import RemoteInvalid, RemoteNotFound, RemoteRefused, RemoteUnavailable
from remotes.failures import expect
from remotes.grammar import (
    Hashing,
    check_digest,
    check_reference,
    check_repository,
    is_digest,
    is_of,
    is_repository,
    is_tag,
)
from remotes.http import IDLE, TRIES, Body, Outbound, Reply, Stream
from remotes.login import Credentials, Login, Scopes
from remotes.origins import is_trusted, origin_of

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST)
MOST_MANIFEST = 4 * 1024 * 1024  # bytes
PAGE = 1000
MOST_PAGES = 100_000
RESUMES = 5  # times that a download goes on after it broke without a byte in between
OCTETS = {"Content-Type": "application/octet-stream"}
Answer = TypeVar("Answer", Reply, Stream)
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*?\brel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A registry and who we are there. `credentials` is asked when they are first needed."""

    url: str
    credentials: Callable[[], Credentials | None] = lambda: None
    insecure: bool = False
    ca_certificate: str = ""
    trusted_realms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest's bytes, which are those of its digest."""

    digest: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What a registry says of a manifest or blob without sending it; not proven."""

    digest: str
    media_type: str
    size: int | None


class RegistryClient:
    """Somebody at one registry. Threads may share it. To be closed."""

    def __init__(self, target: Target, pause: Callable[[float], None] | None = None) -> None:
        options: dict[str, Any] = {"pause": pause} if pause else {}
        self.http = Outbound(insecure=target.insecure, ca_certificate=target.ca_certificate, **options)
        self._target = target
        self.url = target.url.rstrip("/")
        self._home = origin_of(self.url)
        self._login = Login(self.http, self._home, target.credentials, target.trusted_realms)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    # Requests.

    def ask(
        self,
        method: str,
        path: str,
        scopes: Scopes = (),
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        most: int = MOST_MANIFEST,
        tries: int = TRIES,
    ) -> Reply:
        """The answer to one request at `path`, or at a URL that this registry gave; signed in for `scopes`."""
        url = self.absolute(path)

        def attempt(authorization: str) -> Reply:
            return self.http.ask(
                method, url, headers=headers, authorization=authorization, body=body, most=most, tries=tries
            )

        return self._signed_in(url, scopes, attempt)

    def open(
        self,
        method: str,
        path: str,
        scopes: Scopes,
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] = bytes,
        length: int | None = None,
        patience: float = IDLE,
    ) -> Stream:
        """As `ask`, once, and the body of the answer is still to come. `body` makes the request's, each time anew."""
        url = self.absolute(path)

        def attempt(authorization: str) -> Stream:
            return self.http.open(
                method, url, headers=headers, authorization=authorization, body=body(), length=length, patience=patience
            )

        return self._signed_in(url, scopes, attempt)

    def _signed_in(self, url: str, scopes: Scopes, attempt: Callable[[str], Answer]) -> Answer:
        """What `attempt` gets with what is known of signing in, and after a 401 with what answers it; nowhere else."""
        if origin_of(url) != self._home:
            return attempt("")
        known = self._login.header(scopes)
        answer = attempt(known)
        if answer.status != 401:
            return answer
        if isinstance(answer, Stream):
            answer.close()
        return attempt(self._login.renew(answer.headers.get("WWW-Authenticate", ""), scopes, known))

    def absolute(self, path: str) -> str:
        """The URL of a path under /v2/ or of the registry's host; a URL is one already."""
        return self.url + path if path.startswith("/v2/") else urljoin(self.url, path)

    def located(self, base: str, location: str) -> str:
        """The URL that a Location leads to. RemoteInvalid when it leads from https to http on another host.

        On the same host that is the slip of a registry that does not know of the proxy before it.
        """
        url = urljoin(base, location)
        scheme, host, _ = origin_of(url)
        if self._home[0] == "https" and scheme != "https":
            if host != self._home[1]:
                raise RemoteInvalid("the other registry leads from https to http")
            parts = urlsplit(url)
            url = urlunsplit((*urlsplit(self.url)[:2], *parts[2:]))
        return url

    # The registry.

    def ping(self) -> None:
        """Returns when it is a registry and knows our credentials, if we have any. Asks once, not again and again."""
        reply = self.ask("GET", "/v2/", tries=1)
        if reply.status == 401 and not self.credentials and reply.headers.get("WWW-Authenticate"):
            return  # it wants to know who asks; nobody can't say
        expect(reply, 200)
        has_version = "Docker-Distribution-Api-Version" in reply.headers
        if not has_version and not reply.headers.get("Content-Type", "").startswith("application/json"):
            raise RemoteInvalid(answer=200)

    @property
    def credentials(self) -> Credentials | None:
        """Who we are here; None for nobody."""
        return self._target.credentials()

    @property
    def basic(self) -> str:
        """The Authorization header of APIs beside the registry, on its own origin; empty for nobody."""
        credentials = self.credentials
        return credentials.basic if credentials else ""

    def trusts(self, url: str) -> bool:
        """Whether what is at `url` may have our password, as this registry's token service would."""
        return is_trusted(origin_of(url), self._home, self._target.trusted_realms)

    def repositories(self) -> Iterator[str]:
        """All that the catalog tells us of; names that none could have are passed over."""
        for page in self._pages(f"/v2/_catalog?n={PAGE}", ("registry:catalog:*",)):
            yield from (name for name in texts_of(page, "repositories") if is_repository(name))

    def tags(self, repository: str) -> Iterator[str]:
        """The tags of `repository`, in the registry's order. RemoteNotFound when there is no such repository."""
        path = f"/v2/{check_repository(repository)}/tags/list?n={PAGE}"
        for page in self._pages(path, _pull(repository)):
            yield from (tag for tag in texts_of(page, "tags") if is_tag(tag))

    def _pages(self, path: str, scopes: Scopes) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        while path not in seen and len(seen) < MOST_PAGES:
            seen.add(path)
            reply = expect(self.ask("GET", path, scopes), 200)
            yield document_of(reply.content)
            link = _NEXT.search(reply.headers.get("Link", ""))
            if link is None:
                return
            path = urljoin(reply.url, link[1])
            if origin_of(path) != self._home:
                raise RemoteInvalid("the other registry's list goes on somewhere else")
        raise RemoteInvalid("the other registry's list does not end")

    # Manifests.

    def manifest_head(self, repository: str, reference: str) -> Head | None:
        """What it says of a manifest, None when it has none. Its digest is empty where the registry gives none."""
        reply = self._manifest("HEAD", repository, reference)
        if reply.status == 404:
            return None
        expect(reply, 200)
        digest = reply.headers.get("Docker-Content-Digest", "")
        return Head(digest if is_digest(digest) else "", _media_type(reply), _length(reply))

    def manifest_get(self, repository: str, reference: str) -> RemoteManifest:
        """The manifest. RemoteNotFound; RemoteInvalid when its bytes or its media type are not what they should be."""
        reply = expect(self._manifest("GET", repository, reference), 200)
        said = reply.headers.get("Docker-Content-Digest", "")
        digest = reference if is_digest(reference) else said if is_digest(said) else _sha256(reply.content)
        if not is_of(digest, reply.content):
            raise RemoteInvalid(f"the other registry's manifest {reference} is not that of its digest")
        media_type = _media_type(reply)
        declared = document_of(reply.content).get("mediaType", media_type)
        if media_type not in MANIFESTS or declared != media_type:
            raise RemoteInvalid(f"the other registry's manifest {reference} is of type {media_type[:80]!a}")
        return RemoteManifest(digest, media_type, reply.content)

    def manifest_put(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        """The registry has it under `reference`. RemoteRefused, whose codes say what is missing."""
        headers = {"Content-Type": manifest.media_type}
        path = f"/v2/{check_repository(repository)}/manifests/{check_reference(reference)}"
        reply = expect(self.ask("PUT", path, _push(repository), headers=headers, body=manifest.content), 201)
        said = reply.headers.get("Docker-Content-Digest", manifest.digest)
        if said != manifest.digest:
            raise RemoteInvalid(f"the other registry took {manifest.digest} for something else")

    def _manifest(self, method: str, repository: str, reference: str) -> Reply:
        path = f"/v2/{check_repository(repository)}/manifests/{check_reference(reference)}"
        return self.ask(method, path, _pull(repository), headers={"Accept": ", ".join(MANIFESTS)})

    def referrers(self, repository: str, digest: str, artifact_type: str = "") -> list[dict[str, Any]]:
        """Descriptors of what refers to `digest`: by the registry's list, else by the tag that stands in for it."""
        query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
        path = f"/v2/{check_repository(repository)}/referrers/{check_digest(digest)}{query}"
        try:
            found = [entry for page in self._pages(path, _pull(repository)) for entry in descriptors_of(page)]
        except (RemoteNotFound, RemoteRefused):
            found = self._tagged_referrers(repository, digest)
        return [entry for entry in found if not artifact_type or entry.get("artifactType") == artifact_type]

    def _tagged_referrers(self, repository: str, digest: str) -> list[dict[str, Any]]:
        try:
            manifest = self.manifest_get(repository, digest.replace(":", "-")[:128])
        except RemoteNotFound:
            return []
        return descriptors_of(document_of(manifest.content)) if manifest.media_type == OCI_INDEX else []

    # Blobs.

    def blob_head(self, repository: str, digest: str) -> Head | None:
        """What it says of a blob, None when it has none."""
        reply = self.ask("HEAD", _blob(repository, digest), _pull(repository))
        if reply.status == 404:
            return None
        expect(reply, 200)
        return Head(digest, _media_type(reply), _length(reply))

    def blob_open(self, repository: str, digest: str, start: int = 0, end: int | None = None) -> Stream:
        """The blob's bytes from `start` to before `end`, as they come; nothing is checked. RemoteNotFound.

        A registry that knows no ranges sends what stands before `start` too; that is passed over by nobody but
        `blob_read`. The stream's status is 206 for a part and 200 for the whole.
        """
        is_part = start > 0 or end is not None
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if is_part else {}
        stream = self.open("GET", _blob(repository, digest), _pull(repository), headers=headers)
        if stream.status not in (200, 206):
            with stream:
                expect(stream.reply(), 200, 206)
        if stream.status == 206 and not stream.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            stream.close()
            raise RemoteInvalid("the other registry sends another range than was asked for")
        return stream

    def blob_read(self, repository: str, digest: str, size: int | None = None, start: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `start` on. It goes on where it broke off; from the beginning they are checked.

        RemoteNotFound; RemoteUnavailable when it breaks off again and again without a byte in between; RemoteInvalid
        at the end when these are not the digest's bytes, or not `size`: whoever wrote them down has to forget them.
        """
        hashing = Hashing(digest) if start == 0 else None
        position, tries = start, 0
        while True:
            before = position
            try:
                with self.blob_open(repository, digest, position) as stream:
                    for chunk in _from(stream, position):
                        position += len(chunk)
                        if size is not None and position > size:
                            raise RemoteInvalid(f"the other registry sends more than {size} bytes of {digest}")
                        if hashing is not None:
                            hashing.update(chunk)
                        yield chunk
                break
            except RemoteUnavailable:
                tries = 1 if position > before else tries + 1
                if tries > RESUMES:
                    raise
                self.http.pause(tries)
        if (size is not None and position != size) or (hashing is not None and not hashing.is_right):
            raise RemoteInvalid(f"the other registry's bytes of {digest} are not those of that digest")

    # Deletions.

    def manifest_delete(self, repository: str, reference: str) -> None:
        """The registry has no manifest of that digest, or no tag of that name, any more."""
        path = f"/v2/{check_repository(repository)}/manifests/{check_reference(reference)}"
        expect(self.ask("DELETE", path, _delete(repository)), 200, 202, 404)

    def blob_delete(self, repository: str, digest: str) -> None:
        """The repository has no blob of that digest any more."""
        expect(self.ask("DELETE", _blob(repository, digest), _delete(repository)), 200, 202, 404)


def _pull(repository: str) -> Scopes:
    return (f"repository:{repository}:pull",)


def _push(repository: str) -> Scopes:
    return (f"repository:{repository}:pull,push",)


def _delete(repository: str) -> Scopes:
    return (f"repository:{repository}:delete",)


def _blob(repository: str, digest: str) -> str:
    return f"/v2/{check_repository(repository)}/blobs/{check_digest(digest)}"


def _from(stream: Stream, position: int) -> Iterator[bytes]:
    """The bytes of `stream` behind `position`, when it is the whole blob in spite of what was asked for."""
    passed = position if stream.status == 200 else 0
    for chunk in stream:
        if passed >= len(chunk):
            passed -= len(chunk)
            continue
        yield chunk[passed:] if passed else chunk
        passed = 0


def _media_type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "").partition(";")[0].strip()


def _length(reply: Reply) -> int | None:
    text = reply.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()

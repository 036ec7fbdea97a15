"""How registries tell which repositories they have: by the protocol's catalog, or each in its own API.

Every function gives names that begin with `prefix`, and perhaps others: whoever filters does so by the whole pattern.
What the APIs say is as little believed as anything else that comes from outside.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from remotes import challenges
from remotes.client import RegistryClient
from remotes.documents import document_of, items_of, parsed, text_of
from remotes.errors import RemoteInvalid, RemoteUnauthorized
from remotes.failures import expect
from remotes.grammar import is_repository
from remotes.origins import origin_of

PAGE = 100
MOST_PAGES = 100_000
HUB = "https://hub.docker.com"


def catalog(client: RegistryClient, prefix: str) -> Iterator[str]:
    """By /v2/_catalog, which has everything."""
    yield from (name for name in client.repositories() if name.startswith(prefix))


def harbor(client: RegistryClient, prefix: str) -> Iterator[str]:
    """By Harbor's REST API: of the one project that `prefix` names, or of all that we may see."""
    project, slash, _ = prefix.partition("/")
    base, size = f"{client.url}/api/v2.0/projects", {"page_size": PAGE}

    def pages(url: str) -> Iterator[dict[str, Any]]:
        return _pages(client, url, size, client.basic)

    names = [project] if slash else (text_of(found, "name") for found in pages(base))
    for name in names:
        if name.startswith(project):
            for found in pages(f"{base}/{quote(name, safe='')}/repositories"):
                yield from _named(text_of(found, "name"), prefix)


def hub(client: RegistryClient, prefix: str) -> Iterator[str]:
    """By Docker Hub's API: of the namespace that `prefix` names, or of our own."""
    namespace, slash, _ = prefix.partition("/")
    known, authorization = client.credentials, ""
    if not slash:
        namespace = known.username if known else "library"
    if known:
        body = json.dumps({"username": known.username, "password": known.secret}).encode()
        kind = {"Content-Type": "application/json"}
        reply = client.http.ask("POST", f"{HUB}/v2/users/login", headers=kind, body=body, tries=1)
        authorization = f"Bearer {text_of(document_of(expect(reply, 200).content), 'token')}"
    for number in range(1, MOST_PAGES):
        url = f"{HUB}/v2/repositories/{quote(namespace, safe='')}/?page={number}&page_size={PAGE}"
        page = document_of(expect(client.http.ask("GET", url, authorization=authorization), 200).content)
        for found in items_of(page.get("results")):
            yield from _named(f"{namespace}/{text_of(found, 'name')}", prefix)
        if not page.get("next"):
            return


def gitlab(client: RegistryClient, prefix: str) -> Iterator[str]:
    """By GitLab's API, which is where its token service is; with a personal access token as the secret."""
    challenge = client.http.ask("GET", f"{client.url}/v2/").headers.get("WWW-Authenticate", "")
    realms = [found.parameters.get("realm", "") for found in challenges.parse(challenge)]
    if not realms or not realms[0]:
        raise RemoteInvalid("the other registry names no token service, as GitLab does")
    known = client.credentials
    if known and not client.trusts(realms[0]):
        raise RemoteUnauthorized("the other registry's API is not trusted with its token")
    scheme, host, port = origin_of(realms[0])
    base, size = f"{scheme}://{host}:{port}/api/v4/projects", {"per_page": PAGE}
    authorization = f"Bearer {known.secret}" if known else ""
    for project in _pages(client, base, {**size, "membership": "true", "simple": "true"}, authorization):
        path, number = text_of(project, "path_with_namespace").lower(), project.get("id")
        if isinstance(number, int) and (path.startswith(prefix) or prefix.startswith(path)):
            for found in _pages(client, f"{base}/{number}/registry/repositories", size, authorization):
                yield from _named(text_of(found, "path"), prefix)


def _pages(
    client: RegistryClient, url: str, query: Mapping[str, object], authorization: str
) -> Iterator[dict[str, Any]]:
    """The items of a list in pages by number, up to the first that is not full."""
    for number in range(1, MOST_PAGES):
        asked = f"{url}?{urlencode({**query, 'page': number})}"
        items = items_of(parsed(expect(client.http.ask("GET", asked, authorization=authorization), 200).content))
        yield from items
        if len(items) < PAGE:
            return
    raise RemoteInvalid("the other registry's list does not end")


def _named(name: str, prefix: str) -> Iterator[str]:
    if name.startswith(prefix) and is_repository(name):
        yield name

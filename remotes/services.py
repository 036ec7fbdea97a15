"""Writes of the registries that this one talks to.

Nothing is stored of a registry that does not answer as one: it is asked first, outside of any transaction.
"""

import logging
import re
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.constraints import refusals, retried
from harborlite.database.base import release
from harborlite.errors import BadRequest, HarborliteError, NotFound
from remotes.clients import Endpoint, client_of, endpoint_of
from remotes.errors import RemoteBlocked, RemoteError, RemoteRateLimited, RemoteUnauthorized
from remotes.http import check_reachable, context_of
from remotes.kinds import KINDS
from remotes.models import Remote
from remotes.origins import origin_of
from remotes.sealing import reseal, seal
from system.events import emit

HIDDEN = "*****"
"""What a secret looks like to whoever asks for it; given back it means: as before."""
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?P<port>:\d{1,5})?(?P<path>(?:/[\w.~-]+)*)/?", re.ASCII
)
_CONNECTING = frozenset({"kind", "url", "access_key", "access_secret", "insecure", "ca_certificate"})
_COLUMNS = {"access_secret": "sealed_secret"}

logger = logging.getLogger(__name__)


@retried
def remote_create(*, name: str, description: str = "", endpoint: Endpoint) -> Remote:
    """A registry of that name is known, healthy. Conflict; BadRequest when its address is none, or it is not well."""
    endpoint = _checked(endpoint)
    _ask(endpoint)
    with refusals(f"there is a registry {name} already"), transaction.atomic(durable=True):
        remote = Remote.objects.create(
            name=name, description=description, status=Remote.Status.HEALTHY, checked_at=Now(), **_columns(endpoint)
        )
        emit("create", "registry", name, extra={"url": endpoint.url, "type": endpoint.kind})
    return remote


@retried
def remote_update(*, remote: Remote, changes: dict[str, Any]) -> None:
    """The registry has these values, of fields of Remote and Endpoint; others stay. Conflict; BadRequest.

    A stored secret goes nowhere it was not meant for: who changes the host gives it again.
    """
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes.get("access_secret") == HIDDEN:
        del changes["access_secret"]
    values: dict[str, Any] = {key: changes[key] for key in ("name", "description") if key in changes}
    if _CONNECTING & changes.keys():
        endpoint = _checked(changed(remote, changes))
        _ask(endpoint)
        columns = {_COLUMNS.get(key, key) for key in _CONNECTING & changes.keys()}
        values |= {key: value for key, value in _columns(endpoint).items() if key in columns}
        values |= {"status": Remote.Status.HEALTHY, "checked_at": Now()}
    with refusals(f"there is a registry {changes.get('name')} already"), transaction.atomic(durable=True):
        if not Remote.objects.filter(pk=remote.pk).update(updated_at=Now(), **values):
            raise NotFound(f"there is no registry {remote.pk}")
        emit("update", "registry", str(changes.get("name", remote.name)), extra={"changed": sorted(changes)})


@retried
def remote_delete(*, remote: Remote) -> None:
    """Nothing is known of the registry any more, its secret included."""
    with transaction.atomic(durable=True):
        if not Remote.objects.filter(pk=remote.pk).delete()[0]:
            raise NotFound(f"there is no registry {remote.pk}")
        emit("delete", "registry", remote.name)


def changed(remote: Remote, changes: dict[str, Any]) -> Endpoint:
    """What is stored of `remote`, with `changes`. BadRequest when its secret would go to another host for that."""
    given = {key: changes[key] for key in _CONNECTING & changes.keys() if changes[key] is not None}
    is_secret_given = given.get("access_secret", HIDDEN) != HIDDEN
    if is_secret_given or not remote.sealed_secret:
        stored = Endpoint(remote.kind, remote.url, remote.access_key, "", remote.insecure, remote.ca_certificate)
    else:
        given.pop("access_secret", None)
        stored = endpoint_of(remote)
        if "url" in given and _origin(given["url"]) != origin_of(remote.url):
            raise BadRequest("access_secret: it has to be given again, because url now names another server")
    return Endpoint(**{**{key: getattr(stored, key) for key in _CONNECTING}, **given})


def remote_ping(*, endpoint: Endpoint) -> None:
    """Returns when it answers as a registry that knows these credentials; else BadRequest, which tells no details.

    Nothing is written. The details are in the log: who may ask is not told what listens where.
    """
    _ask(_checked(endpoint))


def _ask(endpoint: Endpoint) -> None:
    release()
    try:
        with client_of(endpoint) as client:
            client.ping()
    except RemoteBlocked as error:
        raise BadRequest(f"url: {error.message}") from error
    except (RemoteUnauthorized, RemoteRateLimited) as error:
        raise BadRequest(f"the registry is unhealthy: {error.message}") from error
    except RemoteError as error:
        logger.info("%s is no healthy registry: %s", endpoint.url, error.message)
        raise BadRequest("the registry is unhealthy: it does not answer, or what answers is no registry") from error


def remote_check(*, remote: Remote) -> Remote.Status:
    """Whether the registry is well has been found out now, and written down."""
    try:
        remote_ping(endpoint=endpoint_of(remote))
        status = Remote.Status.HEALTHY
    except HarborliteError:
        status = Remote.Status.UNHEALTHY
    with transaction.atomic(durable=True):
        Remote.objects.filter(pk=remote.pk).update(status=status, checked_at=Now())
    return status


def remotes_check() -> int:
    """As `remote_check`, of every registry; how many are not well."""
    return sum(remote_check(remote=remote) == Remote.Status.UNHEALTHY for remote in list(Remote.objects.order_by("pk")))


def remotes_reseal() -> int:
    """Every stored secret is sealed under the current key; how many are. Precondition when one can't be read."""
    with transaction.atomic(durable=True):
        rows = list(Remote.objects.select_for_update().exclude(sealed_secret="").order_by("pk"))
        for remote in rows:
            remote.sealed_secret = reseal(remote.sealed_secret)
        Remote.objects.bulk_update(rows, ["sealed_secret"])
    return len(rows)


def _columns(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "kind": endpoint.kind,
        "url": endpoint.url,
        "access_key": endpoint.access_key,
        "sealed_secret": seal(endpoint.access_secret),
        "insecure": endpoint.insecure,
        "ca_certificate": endpoint.ca_certificate,
    }


def _checked(endpoint: Endpoint) -> Endpoint:
    """`endpoint` in the form that is stored. BadRequest names the field that can't be."""
    if endpoint.kind not in KINDS:
        raise BadRequest(f"type: it is one of {', '.join(KINDS)}")
    url = _url(endpoint.url)
    try:
        check_reachable(KINDS[endpoint.kind].registry_of(url))
    except RemoteBlocked as error:
        raise BadRequest(f"url: {error.message}") from error
    if endpoint.ca_certificate:
        try:
            context_of(insecure=False, ca_certificate=endpoint.ca_certificate)
        except (ValueError, OSError):
            raise BadRequest("ca_certificate: it is no certificate in PEM") from None
    return Endpoint(
        endpoint.kind, url, endpoint.access_key, endpoint.access_secret, endpoint.insecure, endpoint.ca_certificate
    )


def _url(text: str) -> str:
    """The address as it is stored. BadRequest when it is none."""
    text = text.strip(" ")
    found = _URL.fullmatch(text if "://" in text else f"https://{text}")
    if (
        found is None
        or {".", ".."} & set(found["path"].split("/"))
        or int((found["port"] or ":1")[1:]) not in range(1, 65536)
    ):
        raise BadRequest(
            "url: it is http or https, a host, and perhaps a port and a path, as in https://example.com:5000"
        )
    return f"{found['scheme']}://{found['host'].lower()}{found['port'] or ''}{found['path']}"


def _origin(text: str) -> tuple[str, str, int]:
    return origin_of(_url(text))

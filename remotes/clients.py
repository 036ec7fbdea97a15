"""From a row to a client: what is stored of another registry, and who we are there."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from remotes.client import RegistryClient, Target
from remotes.kinds import KINDS, Kind
from remotes.login import Credentials
from remotes.models import Remote
from remotes.sealing import unseal


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry that may be stored or only be asked about. `kind` is a key of KINDS."""

    kind: str
    url: str
    access_key: str = ""
    access_secret: str = ""
    insecure: bool = False
    ca_certificate: str = ""


def endpoint_of(remote: Remote) -> Endpoint:
    """What is stored, its secret unsealed. Precondition when it can't be."""
    return Endpoint(
        kind=remote.kind,
        url=remote.url,
        access_key=remote.access_key,
        access_secret=unseal(remote.sealed_secret),
        insecure=remote.insecure,
        ca_certificate=remote.ca_certificate,
    )


def client_of(endpoint: Endpoint, pause: Callable[[float], None] | None = None) -> RegistryClient:
    """A client of that registry, to be closed. `pause` waits for so many seconds before it tries again."""
    kind = kind_of(endpoint)
    known = None
    if endpoint.access_key or endpoint.access_secret:
        known = Credentials(endpoint.access_key or kind.access_key, endpoint.access_secret)
    url = kind.registry_of(endpoint.url)
    target = Target(
        url=url,
        credentials=kind.exchange(url, known) if kind.exchange and known else lambda: known,
        insecure=endpoint.insecure,
        ca_certificate=endpoint.ca_certificate,
        trusted_realms=kind.realms | frozenset(host.lower() for host in settings.TRUSTED_REALMS),
    )
    return RegistryClient(target, pause)


def kind_of(endpoint: Endpoint) -> Kind:
    return KINDS[endpoint.kind]

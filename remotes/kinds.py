"""What kinds of registries there are, and what differs: one table, under Harbor's names.

where     some have one address, or an API elsewhere than their registry
login     whose token services get the password; what stands in for name and password
listing   how they tell which repositories they have (remotes.listings); some don't
names     on Docker Hub `alpine` is `library/alpine`
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from remotes import ecr, listings
from remotes.client import RegistryClient
from remotes.login import Credentials

Listing = Callable[[RegistryClient, str], Iterator[str]]
"""Repositories whose names begin with the given text, as far as the registry can tell; others may be among them."""

MANUAL, SCHEDULED, EVENT_BASED = "manual", "scheduled", "event_based"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of registry. `name` is Harbor's word for it."""

    name: str
    title: str
    listing: Listing | None = listings.catalog
    """None: it tells nobody what it has, so each repository has to be named."""
    endpoints: tuple[tuple[str, str], ...] = ()
    """Its addresses, by name, when it has a few of its own."""
    registries: Mapping[str, str] = field(default_factory=dict)
    """Its registry's address by the one that is given for it, where they differ."""
    realms: frozenset[str] = frozenset()
    """Hosts of its token services besides its own."""
    library: str = ""
    """The namespace of names that have none."""
    has_labels: bool = False
    has_events: bool = False
    access_key: str = ""
    """The only one there is."""
    is_key_file: bool = False
    """The secret is a file's content."""
    exchange: Callable[[str, Credentials], Callable[[], Credentials]] | None = None
    """What makes name and password, for a time, of what is stored; from the registry's address."""

    @property
    def triggers(self) -> list[str]:
        return [MANUAL, SCHEDULED, *([EVENT_BASED] if self.has_events else [])]

    @property
    def filters(self) -> list[dict[str, object]]:
        """What replication can choose by, in Harbor's words."""
        names = ["name", "tag", *(["label"] if self.has_labels else [])]
        found: list[dict[str, object]] = [{"type": name, "style": "input"} for name in names]
        return [*found, {"type": "resource", "style": "radio", "values": ["image", "artifact"]}]

    def registry_of(self, url: str) -> str:
        """Where the registry is whose address is given as `url`."""
        return self.registries.get(url, url)

    def repository_of(self, name: str) -> str:
        """What the registry calls the repository that people call `name`."""
        return f"{self.library}/{name}" if self.library and "/" not in name else name


_HUB = "https://registry-1.docker.io"

TABLE: tuple[Kind, ...] = (
    Kind("harborlite", "harborlite", listings.harbor, has_labels=True, has_events=True),
    Kind("harbor", "Harbor", listings.harbor, has_labels=True, has_events=True),
    Kind("docker-registry", "Any registry that speaks the OCI distribution protocol"),
    Kind(
        "docker-hub",
        "Docker Hub",
        listings.hub,
        endpoints=(("hub.docker.com", "https://hub.docker.com"),),
        registries={"https://hub.docker.com": _HUB, "https://docker.io": _HUB, "https://index.docker.io": _HUB},
        realms=frozenset({"auth.docker.io"}),
        library="library",
    ),
    Kind("quay", "Quay, or quay.io", endpoints=(("quay.io", "https://quay.io"),)),
    Kind("github-ghcr", "GitHub Container Registry", None, endpoints=(("ghcr.io", "https://ghcr.io"),)),
    Kind("gitlab", "GitLab", listings.gitlab, endpoints=(("gitlab.com", "https://registry.gitlab.com"),)),
    Kind("aws-ecr", "Amazon Elastic Container Registry", exchange=ecr.exchanged),
    Kind("azure-acr", "Azure Container Registry"),
    Kind(
        "google-gcr",
        "Google Container Registry and Artifact Registry",
        endpoints=tuple((host, f"https://{host}") for host in ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io")),
        access_key="_json_key",
        is_key_file=True,
    ),
    Kind("jfrog-artifactory", "JFrog Artifactory"),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in TABLE}

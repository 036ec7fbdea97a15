"""Server-side copy: which artifact of which repository the client means by `from`."""

import re
from typing import Any

from rest_framework import serializers

from harborlite.actors import Actor
from harborlite.errors import BadRequest, Denied, DigestInvalid, ManifestUnknown, NameInvalid, NotFound, TagInvalid
from harborlite.rest.fields import Line
from projects.queries import project_for
from registry import artifacts, queries
from registry.models import Manifest
from registry.oci import names

_FROM = re.compile(r"(?P<name>[^:@]+)(?::(?P<tag>[^:@]+))?(?:@(?P<digest>[^@]+))?")


class CopyQuery(serializers.Serializer[Any]):
    vars()["from"] = Line(max_length=520, help_text="PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST")


def source_of(actor: Actor, text: str) -> tuple[Manifest, str]:
    """The artifact that `text` names, and the tag or digest by which it does. Both of these: the digest counts.

    BadRequest when `text` is no such name. ManifestUnknown when there is none, or none that `actor` may pull.
    """
    parts = _FROM.fullmatch(text)
    reference = (parts["digest"] or parts["tag"]) if parts else None
    if parts is None or reference is None:
        raise BadRequest("from is to be PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST")
    try:
        project_name, path = names.split_project(parts["name"])
        target = names.parse_reference(reference)
    except (NameInvalid, TagInvalid, DigestInvalid) as error:
        raise BadRequest(f"from: {error.message}") from None
    try:
        project = project_for(actor, project_name, "repository:pull", is_name_given=True)
        return artifacts.artifact_get(queries.repository_get(project, path), target), reference
    except (Denied, NotFound, ManifestUnknown):
        raise ManifestUnknown("from: there is no such artifact") from None

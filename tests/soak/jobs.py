"""Jobs as an administrator runs them: by the REST API, and waited for."""

import time
from collections.abc import Mapping
from typing import Any

from tests.rest.api import Api

ENDED = ("Success", "Error", "Stopped")
PATIENCE = 120.0  # seconds
LOOK = 0.1  # seconds between two looks: each costs the server as much as a pull


def ended(api: Api, path: str, status: str) -> Mapping[str, Any]:
    """The job at `path`, once the field `status` says that it has ended."""
    deadline = time.monotonic() + PATIENCE
    while (found := api.get(path))[status] not in ENDED:
        assert time.monotonic() < deadline, found
        time.sleep(LOOK)
    assert isinstance(found, Mapping)
    return found


def gc(api: Api, **parameters: object) -> Mapping[str, Any]:
    """A collection that has ended well."""
    body = {"schedule": {"type": "Manual"}, "parameters": {"delete_untagged": False, "dry_run": False, **parameters}}
    path = api.create("/system/gc/schedule", body)
    found = ended(api, path, "job_status")
    assert found["job_status"] == "Success", (found, api("GET", f"{path}/log").body.decode())
    return found

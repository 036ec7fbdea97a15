"""REST: a project's metadata one by one; and the values each may have, which is pure."""

from typing import Any

import pytest

from harborlite.errors import BadRequest
from projects import metadata
from projects.queries import project_get
from system.models import Event
from tests.projects.caller import Caller
from tests.projects.company import Company

KEPT = {
    ("public", "true"): "true",
    ("auto_scan", "True"): "true",
    ("prevent_vul", "f"): "false",
    ("enable_content_trust", "0"): "false",
    ("enable_content_trust_cosign", "1"): "true",
    ("auto_sbom_generation", "FALSE"): "false",
    ("reuse_sys_cve_allowlist", "t"): "true",
    ("severity", "Critical"): "critical",
    ("severity", "negligible"): "none",
    ("proxy_speed_kb", "-1"): "-1",
    ("proxy_speed_kb", "0100"): "100",
    ("max_upstream_conn", "3"): "3",
}
REFUSED = [
    ("public", ""),
    ("public", "yes"),
    ("auto_scan", "2"),
    ("severity", "unknown"),
    ("severity", ""),
    ("proxy_speed_kb", "fast"),
    ("proxy_speed_kb", "1_0"),
    ("proxy_speed_kb", "\u0661"),
    ("proxy_speed_kb", str(2**31)),
    ("proxy_speed_kb", "-2"),
    ("max_upstream_conn", "0"),
    ("proxy_cache_filter_pattern", "**"),
    ("proxy_cache_filter_kind", "regex"),
    ("retention_id", "7"),
    ("access_version", "1"),
    ("Public", "true"),
]


@pytest.mark.parametrize(("name", "value"), KEPT)
def test_values_are_kept_in_one_spelling(name: str, value: str) -> None:
    assert metadata.check(name, value) == KEPT[name, value]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_other_values_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        metadata.check(name, value)


def test_what_only_proxies_have_is_passed_over_with_a_project() -> None:
    given: dict[str, Any] = {
        "proxy_cache_filter_kind": "x",
        "proxy_speed_kb": "7",
        "auto_scan": "true",
        "severity": None,
    }
    assert metadata.of_request(given) == {"auto_scan": "true"}


# The faces.


def test_metadata_lives_with_and_without_a_slash_at_the_end(call: Caller) -> None:
    for path, flag in (("/projects/private/metadatas", "auto_scan"), ("/projects/private/metadatas/", "prevent_vul")):
        answer = call("admin", "POST", path, {flag: "true"})
        assert (answer.status, answer.body) == (200, "")
        assert call.get("maintainer", path).body[flag] == "true"
    assert call.get("maintainer", "/projects/private/metadatas/").body == {
        "public": "false",
        "auto_scan": "true",
        "prevent_vul": "true",
    }


def test_one_is_set_read_and_taken_away(call: Caller) -> None:
    path = "/projects/private/metadatas/severity"
    assert call.get("admin", path).body == {}
    assert call("admin", "PUT", path, {"severity": "High"}).status == 200
    assert call.get("admin", path).body == {"severity": "high"}
    assert call("admin", "POST", "/projects/private/metadatas", {"severity": "low"}).status == 409
    answer = call("admin", "DELETE", path)
    assert (answer.status, answer.body) == (200, "")
    assert call.get("admin", path).body == {}
    assert call("admin", "DELETE", path).status == 200
    for unknown in ("nothing", "nul%00", "%F0%9F%90%B3"):
        assert call("admin", "DELETE", f"/projects/private/metadatas/{unknown}").status == 404
        assert call("admin", "GET", f"/projects/private/metadatas/{unknown}").status == 404
    assert Event.objects.filter(operation="update", resource_type="project").count() == 2


def test_public_is_one_of_them(call: Caller) -> None:
    path = "/projects/private/metadatas/public"
    assert call("admin", "POST", "/projects/private/metadatas", {"public": "true"}).status == 409
    before = project_get("private").access_version
    assert call("admin", "PUT", path, {"public": "true"}).status == 200
    assert call.get("anonymous", "/projects/private").status == 200
    assert call("admin", "PUT", path, {"public": "true"}).status == 200
    assert project_get("private").access_version == before + 1
    assert call("admin", "DELETE", path).status == 200
    assert call.get("anonymous", "/projects/private").status == 401
    assert call.get("admin", path).body == {"public": "false"}


def test_bad_metadata_is_refused_by_name(call: Caller) -> None:
    root = "/projects/private/metadatas"
    for method, path, body, field in (
        ("POST", root, {}, "metadata"),
        ("POST", root, {"auto_scan": "true", "severity": "low"}, "metadata"),
        ("POST", root, {"nothing": "true"}, "metadata"),
        ("POST", root, {"auto_scan": True}, "auto_scan"),
        ("POST", root, {"retention_id": "7"}, "retention_id"),
        ("POST", root, "auto_scan", "dictionary"),
        ("PUT", f"{root}/auto_scan", {"severity": "low"}, "auto_scan"),
        ("PUT", f"{root}/auto_scan", {"auto_scan": "perhaps"}, "auto_scan"),
        ("PUT", f"{root}/nothing", {"nothing": "true"}, "nothing"),
        ("PUT", f"{root}/access_version", {"access_version": "9"}, "access_version"),
    ):
        answer = call("admin", method, path, body)
        assert (method, path, body, answer.status) == (method, path, body, 400)
        assert field in answer.error


def test_a_maintainer_reads_and_does_not_write(call: Caller, company: Company) -> None:
    """S-20 (CVE-2024-22278)"""
    root = "/projects/private/metadatas"
    for name in ("maintainer", "maintainer_by_group", "developer", "guest", "robot_of_private"):
        assert call(name, "POST", root, {"auto_scan": "true"}).status == 403
        assert call(name, "PUT", f"{root}/public", {"public": "true"}).status == 403
        assert call(name, "DELETE", f"{root}/public").status == 403
    assert call.get("maintainer", root).status == 200
    assert call.get("developer", root).status == 403
    assert call.get("stranger", root).status == 404
    assert call("stranger", "PUT", f"{root}/public", {"public": "true"}).status == 404
    assert not project_get("private").is_public
    assert project_get("private").metadata == {}

"""The flags of a project: Harbor's names, and which values each may have. Pure.

All values are strings, also "true" and "false". `public` is one of them to clients; in the database it is a column.
What a flag does is the affair of whoever asks for it; here it is only kept.
"""

import re
from collections.abc import Mapping

from harborlite.errors import BadRequest

PUBLIC = "public"
RETENTION = "retention_id"
FLAGS = (
    PUBLIC,
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
    "proxy_cache_local_on_not_found",
    "proxy_referrer_api",
)
SEVERITY = "severity"
SEVERITIES = ("none", "low", "medium", "high", "critical")
NUMBERS = {"proxy_speed_kb": 0, "max_upstream_conn": 1}
"""With the lowest value each may have besides -1, which is no limit."""
OF_PROXIES = (*NUMBERS, "proxy_cache_filter_pattern", "proxy_cache_filter_kind")
"""What only proxy projects have; Harbor passes it over in other projects, and so do we."""
NAMES = (*FLAGS, SEVERITY, RETENTION, *OF_PROXIES)

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")
_DIGITS = re.compile(r"-?[0-9]{1,10}")
_INT32 = 2**31


def check(name: str, value: str, *, within: str = "") -> str:
    """`value` as it is kept for the flag `name`. BadRequest when it can't be kept; `within` is where it was sent."""
    field = within + name
    if name in FLAGS:
        return _flag(field, value)
    if name == SEVERITY:
        return _severity(field, value)
    if name in NUMBERS:
        return _number(field, value, NUMBERS[name])
    if name in OF_PROXIES:
        raise BadRequest(f"{field}: only proxy cache projects have it")
    raise BadRequest(f"{field[:80]!a}: there is no such metadata that can be set")


def of_request(given: Mapping[str, str | None], *, retention_id: str | None = None) -> dict[str, str]:
    """The flags that a project is created or changed with; what is null or empty is as if it weren't there.

    `retention_id` is the project's own: it may be said again, but is set by retention alone (Harbor).
    """
    named = {name: value for name, value in given.items() if value}
    if named.pop(RETENTION, retention_id) != retention_id:
        raise BadRequest("metadata.retention_id: leave it out; it comes with the project's retention policy")
    return {name: check(name, value, within="metadata.") for name, value in named.items() if name not in OF_PROXIES}


def _flag(field: str, value: str) -> str:
    folded = value.lower()
    if folded not in (*_TRUE, *_FALSE):
        raise BadRequest(f'{field}: {value[:80]!a} is neither "true" nor "false"')
    return "true" if folded in _TRUE else "false"


def _severity(field: str, value: str) -> str:
    folded = "none" if value.lower() == "negligible" else value.lower()
    if folded not in SEVERITIES:
        raise BadRequest(f"{field}: {value[:80]!a} is not one of {', '.join(SEVERITIES)}")
    return folded


def _number(field: str, value: str, lowest: int) -> str:
    number = int(value) if _DIGITS.fullmatch(value) else None
    if number is None or not (lowest <= number < _INT32 or number == -1):
        raise BadRequest(f"{field}: {value[:80]!a} is not -1 or a number from {lowest}")
    return str(number)

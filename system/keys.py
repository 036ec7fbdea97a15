"""The settings that administrators change while the server runs: one table, with Harbor's names and defaults.

The environment may fix a setting: a variable named as the key in upper case, or a member of CONFIG_OVERWRITE_JSON.
`docs/configuration.md` is written from this table by `python -m system.keys`; a test fails when they differ.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harborlite import env
from harborlite.text import is_line, is_text

Value = str | int | bool
UNLIMITED = -1
OVERWRITE = "CONFIG_OVERWRITE_JSON"


class BadValue(ValueError):
    """A value is none of its key's kind; the message says what one is."""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    json = "boolean"

    def check(self, value: object) -> Value:
        if not isinstance(value, bool):
            raise BadValue("must be true or false")
        return value

    def read(self, text: str) -> Value:
        """The value that an environment variable gives."""
        word = text.strip().lower()
        if word not in _FLAGS:
            raise BadValue("must be true or false")
        return _FLAGS[word]


_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`, or `besides`."""

    least: int = 0
    most: int = 2**31 - 1
    besides: int | None = None

    json = "integer"

    def check(self, value: object) -> Value:
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValue("must be a whole number")
        if not self.least <= value <= self.most and value != self.besides:
            also = "" if self.besides is None else f", or {self.besides}"
            raise BadValue(f"must be from {self.least} to {self.most}{also}")
        return value

    def read(self, text: str) -> Value:
        if not re.fullmatch(r"-?[0-9]{1,18}", text.strip(), re.ASCII):
            raise BadValue("must be a whole number")
        return self.check(int(text))


@dataclass(frozen=True, slots=True)
class Text:
    """Up to `most` characters; on one line unless `is_long`; when `pattern` is given, `rule` tells it in words."""

    most: int = 1024
    is_long: bool = False
    is_secret: bool = False
    pattern: str = ""
    rule: str = ""

    json = "string"

    def check(self, value: object) -> Value:
        if not isinstance(value, str):
            raise BadValue("must be a text")
        if len(value) > self.most:
            raise BadValue(f"has at most {self.most} characters")
        if not (is_text(value) if self.is_long else is_line(value)):
            raise BadValue("has characters that are not allowed")
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            raise BadValue(self.rule)
        return value

    read = check


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `words`."""

    words: tuple[str, ...]

    json = "string"

    def check(self, value: object) -> Value:
        if not isinstance(value, str) or value not in self.words:
            raise BadValue(f"must be {' or '.join(self.words)}")
        return value

    read = check


@dataclass(frozen=True, slots=True)
class Pairs:
    """A JSON object of texts, written out as a text."""

    json = "string"

    def check(self, value: object) -> Value:
        try:
            pairs = json.loads(value) if isinstance(value, str) and len(value) <= 4096 and is_text(value) else None
        except (ValueError, RecursionError):
            pairs = None
        if not isinstance(pairs, dict) or not all(isinstance(text, str) for text in pairs.values()):
            raise BadValue("must be a JSON object whose values are texts, written as a text")
        return str(value)

    read = check


@dataclass(frozen=True, slots=True)
class EventTypes:
    """Words such as create_user between commas."""

    json = "string"

    def check(self, value: object) -> Value:
        if not isinstance(value, str) or len(value) > 4096 or not re.fullmatch(r"[a-z_, ]*", value):
            raise BadValue("must be event types such as create_user, between commas")
        return value

    read = check


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `is_used` is false for what is kept for clients that write it, and changes nothing here."""

    name: str
    kind: Flag | Number | Text | Choice | Pairs | EventTypes
    default: Value
    help: str
    is_used: bool = True

    @property
    def variable(self) -> str:
        """The environment variable that fixes it."""
        return self.name.upper()

    @property
    def is_secret(self) -> bool:
        """Written, never shown."""
        return isinstance(self.kind, Text) and self.kind.is_secret


ON, OFF = True, False
_YEARS = 10 * 365
LINE, LONG, SECRET = Text(), Text(most=16 * 1024, is_long=True), Text(most=4096, is_secret=True)
_SCOPE = Number(0, 2)

TABLE: tuple[Key, ...] = (
    # Who may come in, and do what.
    Key("auth_mode", Choice(("db_auth",)), "db_auth", "Where passwords are checked: by this server."),
    Key("primary_auth_mode", Flag(), OFF, "Whether the sign-in page offers that mode first.", is_used=False),
    Key("self_registration", Flag(), OFF, "Whether people may make accounts for themselves."),
    Key("project_creation_restriction", Choice(("everyone", "adminonly")), "everyone", "Who may make projects."),
    Key("session_timeout", Number(1, _YEARS * 1440), 60, "Minutes after which an idle session of the console ends."),
    Key("token_expiration", Number(1, _YEARS * 1440), 30, "Minutes a registry token is valid."),
    Key("robot_token_duration", Number(1, _YEARS), 30, "Days a robot's secret lasts when its maker says nothing."),
    Key("robot_name_prefix", Text(64, pattern=r"[!#-+.0-9;-~\-]+", rule="has 1 to 64 printable ASCII characters "
        'without space, quote, comma, slash and colon'), "robot$", "What the names of robot accounts start with."),
    # What the server does.
    Key("read_only", Flag(), OFF, "Whether all changes are refused; pulls go on."),
    Key("banner_message", LONG, "", "What the console tells everybody: Harbor's JSON object, written as a text."),
    Key("notification_enable", Flag(), ON, "Whether webhooks are sent.", is_used=False),
    Key("quota_per_project_enable", Flag(), ON, "Whether quotas are enforced at push."),
    Key("storage_per_project", Number(1, 2**63 - 1, UNLIMITED), UNLIMITED,
        "Bytes a new project may hold; -1 for any number."),
    # What is written down.
    Key("audit_log_forward_endpoint", Text(pattern=r"((udp|tcp)://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}|",
        rule="must be HOST:PORT, with udp:// or tcp:// before it or not (tcp), or empty"), "",
        "Syslog server (RFC 5424) that is sent every event."),
    Key("skip_audit_log_database", Flag(), OFF, "Whether events are forwarded only, and not kept."),
    Key("disabled_audit_log_event_types", EventTypes(), "", "Event types that are not written down, between commas."),
    Key("pull_audit_log_disable", Flag(), OFF, "Whether pulls are not written down."),
    Key("pull_count_update_disable", Flag(), OFF, "Whether pulls are not counted."),
    Key("pull_time_update_disable", Flag(), OFF, "Whether the time of the last pull is not kept."),
    Key("scanner_skip_update_pulltime", Flag(), OFF, "Whether a scanner's pulls leave that time.", is_used=False),
    # For sign-in by others; kept, so that a configuration that is applied as a whole is read back as it was.
    Key("ldap_url", LINE, "", "URL of the LDAP server.", is_used=False),
    Key("ldap_base_dn", LINE, "", "Where people are searched.", is_used=False),
    Key("ldap_filter", LINE, "", "Filter of that search.", is_used=False),
    Key("ldap_scope", _SCOPE, 2, "Its scope: 0 base, 1 one level, 2 subtree.", is_used=False),
    Key("ldap_uid", LINE, "cn", "Attribute that is the username.", is_used=False),
    Key("ldap_search_dn", LINE, "", "Who searches.", is_used=False),
    Key("ldap_search_password", SECRET, "", "Its password.", is_used=False),
    Key("ldap_timeout", Number(1, 600), 5, "Seconds to wait for the LDAP server.", is_used=False),
    Key("ldap_verify_cert", Flag(), ON, "Whether its certificate is checked.", is_used=False),
    Key("ldap_group_base_dn", LINE, "", "Where groups are searched.", is_used=False),
    Key("ldap_group_admin_dn", LINE, "", "Group whose members are administrators.", is_used=False),
    Key("ldap_group_attribute_name", LINE, "", "Attribute that is the group's name.", is_used=False),
    Key("ldap_group_search_filter", LINE, "", "Filter of the groups' search.", is_used=False),
    Key("ldap_group_search_scope", _SCOPE, 2, "Its scope, as ldap_scope.", is_used=False),
    Key("ldap_group_membership_attribute", LINE, "memberof", "Attribute that names a person's groups.", is_used=False),
    Key("ldap_group_attach_parallel", Flag(), OFF, "Whether groups are looked up at once.", is_used=False),
    Key("oidc_name", LINE, "", "Name of the OIDC provider.", is_used=False),
    Key("oidc_endpoint", LINE, "", "Its issuer URL.", is_used=False),
    Key("oidc_client_id", LINE, "", "Our id there.", is_used=False),
    Key("oidc_client_secret", SECRET, "", "Our secret there.", is_used=False),
    Key("oidc_scope", LINE, "", "Scopes that are asked for.", is_used=False),
    Key("oidc_user_claim", LINE, "", "Claim that is the username.", is_used=False),
    Key("oidc_groups_claim", LINE, "", "Claim that names a person's groups.", is_used=False),
    Key("oidc_admin_group", LINE, "", "Group whose members are administrators.", is_used=False),
    Key("oidc_group_filter", LINE, "", "Regular expression of the groups that count.", is_used=False),
    Key("oidc_verify_cert", Flag(), ON, "Whether the provider's certificate is checked.", is_used=False),
    Key("oidc_auto_onboard", Flag(), OFF, "Whether people get their username from the claim.", is_used=False),
    Key("oidc_logout", Flag(), OFF, "Whether signing out here signs out there.", is_used=False),
    Key("oidc_extra_redirect_parms", Pairs(), "{}", "Further parameters of the redirect.", is_used=False),
    Key("http_authproxy_endpoint", LINE, "", "Where an authentication proxy signs people in.", is_used=False),
    Key("http_authproxy_tokenreview_endpoint", LINE, "", "Where it reviews tokens.", is_used=False),
    Key("http_authproxy_admin_groups", LINE, "", "Groups whose members are administrators.", is_used=False),
    Key("http_authproxy_admin_usernames", LINE, "", "Administrators.", is_used=False),
    Key("http_authproxy_verify_cert", Flag(), ON, "Whether its certificate is checked.", is_used=False),
    Key("http_authproxy_skip_search", Flag(), OFF, "Whether members need not be searched first.", is_used=False),
    Key("http_authproxy_server_certificate", LONG, "", "Its certificate.", is_used=False),
    Key("uaa_endpoint", LINE, "", "URL of a UAA server.", is_used=False),
    Key("uaa_client_id", LINE, "", "Our id there.", is_used=False),
    Key("uaa_client_secret", SECRET, "", "Our secret there.", is_used=False),
    Key("uaa_verify_cert", Flag(), OFF, "Whether its certificate is checked.", is_used=False),
)  # fmt: skip

BY_NAME: Mapping[str, Key] = {key.name: key for key in TABLE}


# What the environment fixes.


@lru_cache(maxsize=1)
def fixed() -> Mapping[str, Value]:
    """The keys whose values the environment gives. InvalidSetting when one is none of its kind."""
    values = {}
    for name, value in _overwritten().items():
        if key := BY_NAME.get(name):
            values[name] = _checked(key, OVERWRITE, value)
    for key in TABLE:
        text = env.given(key.variable, is_secret=key.is_secret)
        if text is not None:
            values[key.name] = _checked(key, key.variable, text)
    return values


def _overwritten() -> dict[str, Any]:
    text = env.text(OVERWRITE)
    if not text:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise env.InvalidSetting(f"{OVERWRITE} must be a JSON object")
    return values


def _checked(key: Key, variable: str, value: object) -> Value:
    try:
        return key.kind.read(value) if isinstance(value, str) else key.kind.check(value)
    except BadValue as error:
        where = variable if variable == key.variable else f"{variable}: {key.name}"
        raise env.InvalidSetting(f"{where} {error}") from None


# The page.


def document() -> str:
    """The text of docs/configuration.md."""
    rows = (f"| `{key.name}` | {key.kind.json} | {_shown(key)} | {key.help} |" for key in TABLE if key.is_used)
    kept = ", ".join(f"`{key.name}`" for key in TABLE if not key.is_used)
    return "\n".join(
        [
            "# Configuration",
            "",
            "What administrators change while the server runs, by `PUT /api/v2.0/configurations`. Written from",
            "`system/keys.py` by `make docs`.",
            "",
            "An environment variable with the key's name in upper case (for secrets also with `_FILE` behind it, the",
            "path of a file that holds the value) gives the key its value and locks it, and so does a member of the",
            "JSON object in `CONFIG_OVERWRITE_JSON`. Other processes know a change within two seconds.",
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "Kept and given back for clients that write them, without a meaning here as long as sign-in by others,",
            f"webhooks and scanners are not built: {kept}.",
            "",
        ]
    )


def _shown(key: Key) -> str:
    return f"`{json.dumps(key.default)}`" if key.default != "" else ""


if __name__ == "__main__":
    Path("docs/configuration.md").write_text(document(), encoding="utf-8")

"""The configuration: typed, partly written, fixed by the environment, never showing a secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.services import token_issue, user_create
from harborlite import env, generations
from harborlite.errors import BadRequest, Denied
from system import config, keys
from system.keys import BY_NAME, TABLE
from system.models import Configuration, Event
from system.services import configuration_update
from tests.factories import World
from tests.product import Serve
from tests.rest.api import Api

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Where the environment of this process can be changed."""
    keys.fixed.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    keys.fixed.cache_clear()


# The table.


def test_page_of_the_configuration_is_the_table() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == keys.document(), "run `make docs`"


@pytest.mark.parametrize("key", TABLE, ids=lambda key: key.name)
def test_every_default_is_of_its_kind(key: keys.Key) -> None:
    assert key.kind.check(key.default) == key.default
    assert key.help.endswith(".")
    assert len(key.name) <= 64


def test_every_key_that_is_used_is_read_somewhere() -> None:
    apps = ("accounts", "projects", "registry", "system", "harborlite")
    sources = [path for app in apps for path in (ROOT / app).rglob("*.py") if path.name != "keys.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [key.name for key in TABLE if key.is_used and f'"{key.name}"' not in text] == []


# Writing.


def test_what_is_written_is_read(db: None) -> None:
    configuration_update(values={"self_registration": True, "session_timeout": 90, "banner_message": "hi\nthere"})
    assert config.get("self_registration") is True
    assert config.get("session_timeout") == 90
    assert config.get("banner_message") == "hi\nthere"
    assert config.get("read_only") is False


def test_what_is_not_named_stays(db: None) -> None:
    configuration_update(values={"session_timeout": 90})
    configuration_update(values={"token_expiration": 5})
    assert (config.get("session_timeout"), config.get("token_expiration")) == (90, 5)


def test_names_that_are_none_and_null_are_passed_over(db: None) -> None:
    configuration_update(values={"no_such_key": 1, "__class__": {}, "session_timeout": None})
    assert not Configuration.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("read_only", "true", "must be true or false"),
        ("read_only", 1, "must be true or false"),
        ("session_timeout", "60", "must be a whole number"),
        ("session_timeout", True, "must be a whole number"),
        ("session_timeout", 1.5, "must be a whole number"),
        ("session_timeout", 0, "must be from 1 to"),
        ("token_expiration", -1, "must be from 1 to"),
        ("robot_token_duration", 2**70, "must be from 1 to"),
        ("storage_per_project", 0, "or -1"),
        ("storage_per_project", -2, "or -1"),
        ("project_creation_restriction", "nobody", "must be everyone or adminonly"),
        ("auth_mode", "ldap_auth", "must be db_auth"),
        ("robot_name_prefix", "", "1 to 64 printable ASCII characters"),
        ("robot_name_prefix", "robot:", "1 to 64 printable ASCII characters"),
        ("robot_name_prefix", "a/b", "1 to 64 printable ASCII characters"),
        ("robot_name_prefix", "bot\u0430", "1 to 64 printable ASCII characters"),
        ("oidc_name", "a\nb", "characters that are not allowed"),
        ("oidc_name", "a\0b", "characters that are not allowed"),
        ("oidc_name", "a\u202eb", "characters that are not allowed"),
        ("oidc_name", "\ud800", "characters that are not allowed"),
        ("oidc_name", "x" * 1025, "at most 1024 characters"),
        ("oidc_extra_redirect_parms", "[]", "must be a JSON object"),
        ("oidc_extra_redirect_parms", '{"a": 1}', "must be a JSON object"),
        ("oidc_extra_redirect_parms", "[" * 4000, "must be a JSON object"),
        ("audit_log_forward_endpoint", "http://logs:514", "must be HOST:PORT"),
        ("audit_log_forward_endpoint", "logs", "must be HOST:PORT"),
        ("audit_log_forward_endpoint", "127.0.0.1:99999", "nothing answers there"),
        ("audit_log_forward_endpoint", "127.0.0.1:1", "nothing answers there"),
        ("skip_audit_log_database", True, "needs an audit_log_forward_endpoint"),
        ("disabled_audit_log_event_types", "create_user,paint_project", "there is no event type paint_project"),
        ("disabled_audit_log_event_types", "drop table;", "must be event types"),
        ("ldap_scope", 3, "must be from 0 to 2"),
    ],
)
def test_a_wrong_value_is_refused_and_named(db: None, name: str, value: object, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        configuration_update(values={"self_registration": True, name: value})
    assert refused.value.message.startswith(name)
    assert told in refused.value.message
    assert not Configuration.objects.exists()


def test_a_stored_value_of_another_kind_counts_as_the_default(db: None, caplog: pytest.LogCaptureFixture) -> None:
    Configuration.objects.create(key="session_timeout", value="soon")
    Configuration.objects.create(key="of_a_newer_version", value=1)
    config.forget()
    assert config.get("session_timeout") == 60
    assert "session_timeout must be a whole number" in caplog.text


def test_a_change_is_written_down_without_secrets(db: None) -> None:
    configuration_update(values={"oidc_client_secret": "Geheim-1", "read_only": False, "session_timeout": 61})
    event = Event.objects.get()
    assert (event.operation, event.resource_type, event.resource) == ("update", "configuration", "configuration")
    assert event.description == "update configuration: oidc_client_secret, session_timeout"
    assert event.extra == {
        "changed": [{"key": "oidc_client_secret", "value": "***"}, {"key": "session_timeout", "value": 61}]
    }


# Reading.


def test_it_is_read_once_in_two_seconds(db: None, django_assert_num_queries: Any) -> None:
    config.forget()
    with django_assert_num_queries(1):
        for _ in range(100):
            config.get("read_only")


def test_what_another_process_changed_is_known_at_once(transactional_db: None) -> None:
    """With the embedded database. The other process writes the row and leaves its mark."""
    config.forget()
    assert config.get("read_only") is False
    Configuration.objects.create(key="read_only", value=True)
    generations.bump("configuration", 0)
    assert config.get("read_only") is True


# The environment.


def test_the_environment_fixes_a_key(environment: pytest.MonkeyPatch, db: None) -> None:
    Configuration.objects.create(key="session_timeout", value=5)
    environment.setenv("SESSION_TIMEOUT", "15")
    environment.setenv("READ_ONLY", "TRUE")
    config.forget()
    assert (config.get("session_timeout"), config.get("read_only")) == (15, True)
    with pytest.raises(Denied, match="session_timeout is fixed"):
        configuration_update(values={"session_timeout": 16})
    configuration_update(values={"session_timeout": 15, "read_only": True})  # what is so already may be said


def test_a_secret_may_stand_in_a_file(environment: pytest.MonkeyPatch, db: None, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Geheim-1\n")
    environment.setenv("OIDC_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    environment.setenv("OIDC_NAME_FILE", str(tmp_path / "secret"))
    config.forget()
    assert (config.get("oidc_client_secret"), config.get("oidc_name")) == ("Geheim-1", "")


def test_harbors_json_fixes_keys(environment: pytest.MonkeyPatch, db: None) -> None:
    environment.setenv("CONFIG_OVERWRITE_JSON", '{"session_timeout": 15, "robot_name_prefix": "bot$", "unknown": 1}')
    environment.setenv("SESSION_TIMEOUT", "16")
    config.forget()
    assert dict(keys.fixed()) == {"session_timeout": 16, "robot_name_prefix": "bot$"}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SESSION_TIMEOUT", "soon", "SESSION_TIMEOUT must be a whole number"),
        ("READ_ONLY", "maybe", "READ_ONLY must be true or false"),
        ("CONFIG_OVERWRITE_JSON", "[]", "CONFIG_OVERWRITE_JSON must be a JSON object"),
        ("CONFIG_OVERWRITE_JSON", '{"read_only": 7}', "CONFIG_OVERWRITE_JSON: read_only must be true or false"),
    ],
)
def test_a_wrong_variable_is_named(environment: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(env.InvalidSetting) as refused:
        keys.fixed()
    assert str(refused.value) == told


# Over HTTP.


@pytest.fixture(scope="module")
def admin(world: World) -> Api:
    return Api(world.url, world.admin_account)


@pytest.fixture
def restored(admin: Api) -> Iterator[None]:
    """Whatever the test changes is changed back."""
    before = admin.get("/configurations")
    yield
    admin.done("PUT", "/configurations", {name: item["value"] for name, item in before.items() if item["editable"]})


def test_each_setting_is_shown_with_whether_it_can_be_changed(admin: Api) -> None:
    shown = admin.get("/configurations")
    assert shown["auth_mode"] == {"value": "db_auth", "editable": True}
    assert shown["storage_per_project"] == {"value": -1, "editable": True}
    assert shown["self_registration"] == {"value": False, "editable": True}
    kinds = {name: type(item["value"]) for name, item in shown.items()}
    assert kinds == {key.name: type(key.default) for key in TABLE if not key.is_secret}


def test_settings_are_changed_in_part_and_at_once_everywhere(admin: Api, restored: None) -> None:
    for minutes in range(31, 37):  # each request may meet another process
        admin.done("PUT", "/configurations", {"token_expiration": minutes})
        shown = admin.get("/configurations")
        assert shown["token_expiration"]["value"] == minutes
        assert shown["session_timeout"]["value"] == 60


def test_secrets_are_never_given(admin: Api, restored: None) -> None:
    secrets = [key.name for key in TABLE if key.is_secret]
    assert {"oidc_client_secret", "ldap_search_password", "uaa_client_secret"} == set(secrets)
    admin.done("PUT", "/configurations", dict.fromkeys(secrets, "Geheim-4711"))
    answer = admin("GET", "/configurations")
    assert not set(secrets) & set(answer.json())
    assert b"Geheim-4711" not in answer.body
    assert b"Geheim-4711" not in admin("GET", "/auditlog-exts", query={"page_size": 100}).body
    assert b"Geheim-4711" not in admin("GET", "/auditlog-exts", query={"format": "csv"}).body
    admin.done("PUT", "/configurations", dict.fromkeys(secrets, ""))


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_administrators_see_or_change_settings(world: World, method: str) -> None:
    robot = world.robot(None, {"*": ("repository:pull",)})
    for account, status, code in (
        (None, 401, "UNAUTHORIZED"),
        (world.user(), 403, "FORBIDDEN"),
        (world.owner, 403, "FORBIDDEN"),
        (robot, 403, "FORBIDDEN"),
    ):
        answer = Api(world.url, account)(method, "/configurations", {"read_only": True} if method == "PUT" else None)
        assert (answer.status, answer.json()["errors"][0]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is no JSON"),
        (b"[]", ""),
        (b"nonsense", "the body is no JSON"),
        (b'{"session_timeout": NaN}', "the body is no JSON"),
        ({"session_timeout": "60"}, "session_timeout"),
        ({"session_timeout": 0}, "session_timeout"),
        ({"read_only": "yes"}, "read_only"),
        ({"robot_name_prefix": " "}, "robot_name_prefix"),
        ({"auth_mode": "oidc_auth"}, "auth_mode"),
        ({"banner_message": "a\0b"}, "banner_message"),
        ({"oidc_client_secret": 7}, "oidc_client_secret"),
        ({"skip_audit_log_database": True}, "skip_audit_log_database"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(admin: Api, body: object, told: str) -> None:
    answer = admin("PUT", "/configurations", body)
    error = answer.json()["errors"][0]
    assert (answer.status, error["code"]) == (400, "BAD_REQUEST")
    assert told in error["message"]


def test_a_setting_of_the_environment_is_locked() -> None:
    with Serve({"SELF_REGISTRATION": "true", "CONFIG_OVERWRITE_JSON": json.dumps({"session_timeout": 77})}) as server:
        world = World(server.url, server.env, server.admin_password)
        admin = Api(server.url, world.admin_account)
        shown = admin.get("/configurations")
        assert shown["self_registration"] == {"value": True, "editable": False}
        assert shown["session_timeout"] == {"value": 77, "editable": False}
        answer = admin("PUT", "/configurations", {"self_registration": False})
        assert (answer.status, answer.json()["errors"][0]["code"]) == (403, "FORBIDDEN")
        assert "self_registration" in answer.json()["errors"][0]["message"]
        admin.done("PUT", "/configurations", {"self_registration": True, "token_expiration": 31})
        world.close()


def test_a_wrong_variable_stops_the_server_before_it_starts() -> None:
    product = Serve({"SESSION_TIMEOUT": "soon"})
    for program in ("serve", "web", "worker"):
        ended = product.command(program)
        assert (ended.returncode, ended.stderr) == (2, "harborlite: SESSION_TIMEOUT must be a whole number\n")
    product.close()


def test_the_prefix_of_robots_follows(world: World, admin: Api, restored: None) -> None:
    robot = world.robot(world.home)
    assert robot.login.startswith("robot$")
    admin.done("PUT", "/configurations", {"robot_name_prefix": "bot+"})
    renamed = type(robot)("bot+" + robot.login.removeprefix("robot$"), robot.secret)
    assert Api(world.url, renamed)("GET", f"/projects/{world.home}/logs").status == 403
    assert Api(world.url, robot)("GET", f"/projects/{world.home}/logs").status == 401


def test_there_is_no_key_twice() -> None:
    assert len(BY_NAME) == len(TABLE)


@pytest.mark.parametrize("path", ["configurations", "systeminfo"])
def test_reading_asks_the_database_only_who_asks(db: None, django_assert_num_queries: Any, path: str) -> None:
    _, secret = token_issue(user=user_create(username="boss", password=None, is_admin=True), name="count")
    client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Bearer {secret}"})
    client.get(f"/api/v2.0/{path}")
    with django_assert_num_queries(1):
        assert client.get(f"/api/v2.0/{path}").status_code == 200

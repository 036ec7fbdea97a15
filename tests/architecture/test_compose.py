"""compose.yaml and the Dockerfile, as far as they can be judged without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from harborlite import env
from harborlite.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "harborlite"}
ONE_SHOT = {"init", "migrate"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def volumes(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and options of each mount."""
    return [(mount.split(":")[0], mount.partition(":")[2]) for mount in service.get("volumes", [])]


def test_services_are_the_programs_and_what_they_stand_on() -> None:
    assert set(SERVICES) == {"web", "worker", "beat", "migrate", "init", "postgres", "valkey", "s3"}


@pytest.mark.parametrize("name", OURS)
def test_commands_are_commands_of_harborlite(name: str) -> None:
    assert OURS[name]["command"][0] in COMMANDS


@pytest.mark.parametrize("name", OURS)
def test_environment_is_in_the_table_of_settings(name: str) -> None:
    table = {variable.name: variable.kind for variable in env.TABLE}
    for variable in OURS[name]["environment"]:
        assert variable in table or table.get(variable.removesuffix("_FILE")) == "secret"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    secrets = re.compile(r"PASSWORD|SECRET|KEY|URL|TOKEN")
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert variable.endswith("_FILE") or not secrets.search(variable), variable
        if variable.endswith("_FILE"):
            assert value.startswith("/secrets/")


def test_every_secret_that_is_read_is_made(tmp_path: Path) -> None:
    from argparse import Namespace

    from harborlite.cli.prepare import secrets_write

    assert secrets_write(Namespace(directory=str(tmp_path))) == 0
    named = set(re.findall(r"/secrets/([\w.-]+)", (ROOT / "compose.yaml").read_text()))
    assert named == {file.name for file in tmp_path.iterdir()}


def test_secrets_are_written_by_one_and_waited_for_by_all() -> None:
    writers = [name for name, service in SERVICES.items() if ("secrets", "/secrets") in volumes(service)]
    assert writers == ["init"]
    for name, service in SERVICES.items():
        if name != "init":
            assert ("secrets", "/secrets:ro") in volumes(service)
            assert "init" in _waits_for(name)


def _waits_for(name: str) -> set[str]:
    direct = set(SERVICES[name].get("depends_on", {}))
    return direct.union(*map(_waits_for, direct))


@pytest.mark.parametrize("name", set(SERVICES) - ONE_SHOT - {"init"})
def test_dependencies_are_healthy_or_done_first(name: str) -> None:
    for dependency, how in SERVICES[name].get("depends_on", {}).items():
        done = "service_completed_successfully" if dependency in ONE_SHOT else "service_healthy"
        assert how == {"condition": done}


@pytest.mark.parametrize("name", ["worker", "postgres", "valkey", "s3"])
def test_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_web_is_checked_by_its_image() -> None:
    assert "HEALTHCHECK" in DOCKERFILE
    assert "healthcheck" not in SERVICES["web"]


def test_volumes_are_declared_and_used() -> None:
    used = {name for service in SERVICES.values() for name, _ in volumes(service)}
    assert used == set(COMPOSE["volumes"])


def test_only_the_web_server_is_published_and_only_to_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["${HARBORLITE_PUBLISH:-127.0.0.1:8080}:8080"]
    }


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_privilege(name: str) -> None:
    service = OURS[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_image_runs_as_a_number_that_is_not_root() -> None:
    (user,) = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert user == "10001:10001"


def test_image_installs_by_hash_and_compiles_nothing() -> None:
    assert "--require-hashes --only-binary :all:" in DOCKERFILE
    assert not re.search(r"apt-get|apk |build-essential|gcc", DOCKERFILE)


def test_requirements_are_pinned_by_hash_and_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?:|--(extra-)?index-url|--find-links|--trusted-host", text)
        lines = text.replace("\\\n", " ").splitlines()
        entries = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        assert len(entries) > 20
        for entry in entries:
            assert re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", entry), entry

"""`harborlite remote`: what it does and prints."""

import io

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from remotes.models import Remote
from remotes.sealing import seal, unseal
from tests.remote_acts import status
from tests.remote_fake import FakeRegistry


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("remote", *words, stdout=out)
    return out.getvalue()


def test_they_are_listed_and_asked(transactional_db: None, fake: FakeRegistry) -> None:
    Remote.objects.create(name="other", url=fake.url, kind="docker-registry")
    head, row = run("list").splitlines()
    assert head.split() == ["name", "type", "url", "status", "asked", "(UTC)"]
    assert row.split()[:4] == ["other", "docker-registry", fake.url, "healthy"]
    assert run("check") == "0 of 1 are not well\n"
    fake.rule("GET", "/v2/", status(500))
    assert run("check") == "1 of 1 are not well\n"
    assert "unhealthy" in run("list")


def test_passwords_are_stored_under_a_new_key(transactional_db: None, settings: Settings) -> None:
    settings.SECRET_KEY = "old"
    Remote.objects.create(name="other", url="https://a", kind="harbor", sealed_secret=seal("password"))
    settings.SECRET_KEY = "new"
    with pytest.raises(CommandError, match="give it again"):
        run("reseal")
    settings.FORMER_SECRET_KEYS = ["old"]
    assert run("reseal") == "stored 1 passwords under the current key\n"
    settings.FORMER_SECRET_KEYS = []
    assert unseal(Remote.objects.get().sealed_secret) == "password"

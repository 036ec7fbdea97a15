"""Secrets of other registries in the database."""

import pytest
from cryptography.fernet import Fernet, InvalidToken
from pytest_django.fixtures import Settings

from harborlite.errors import Precondition
from remotes.models import Remote
from remotes.sealing import reseal, seal, unseal
from remotes.services import remotes_reseal

SECRET = "Pässword with \0 and 🗝"


def test_what_is_sealed_is_unsealed() -> None:
    sealed = seal(SECRET)
    assert unseal(sealed) == SECRET
    assert SECRET not in sealed
    assert sealed != seal(SECRET)
    assert (seal(""), unseal(""), reseal("")) == ("", "", "")


def test_the_key_is_not_the_servers_own(settings: Settings) -> None:
    """Whoever learns the key of these secrets can't sign tokens with it, nor the other way round."""
    settings.SECRET_KEY = Fernet.generate_key().decode()
    with pytest.raises(InvalidToken):
        Fernet(settings.SECRET_KEY).decrypt(seal(SECRET).encode())


def test_a_former_key_still_reads(settings: Settings) -> None:
    settings.SECRET_KEY, sealed = "old", ""
    sealed = seal(SECRET)
    settings.SECRET_KEY = "new"
    with pytest.raises(Precondition, match="give it again"):
        unseal(sealed)
    with pytest.raises(Precondition):
        reseal(sealed)
    settings.FORMER_SECRET_KEYS = ["older", "old"]
    assert unseal(sealed) == SECRET
    anew = reseal(sealed)
    settings.FORMER_SECRET_KEYS = []
    assert unseal(anew) == SECRET


@pytest.mark.parametrize("sealed", ["x", "gAAAAA", "plain text"])
def test_what_nobody_sealed(sealed: str) -> None:
    with pytest.raises(Precondition):
        unseal(sealed)


def test_all_rows_are_resealed_or_none(transactional_db: None, settings: Settings) -> None:
    settings.SECRET_KEY = "old"
    for name in ("a", "b", "c"):
        secret = "" if name == "c" else SECRET + name
        Remote.objects.create(name=name, url="https://a", kind="harbor", sealed_secret=seal(secret))
    settings.SECRET_KEY, settings.FORMER_SECRET_KEYS = "new", ["old"]
    assert remotes_reseal() == 2
    settings.FORMER_SECRET_KEYS = []
    rows = dict(Remote.objects.values_list("name", "sealed_secret"))
    assert {name: unseal(sealed) for name, sealed in rows.items()} == {"a": SECRET + "a", "b": SECRET + "b", "c": ""}
    Remote.objects.filter(name="b").update(sealed_secret="lost")
    with pytest.raises(Precondition):
        remotes_reseal()
    assert Remote.objects.get(name="a").sealed_secret == rows["a"]

"""While somebody holds stored bytes, none is removed."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.db.models.functions import Now

from harborlite.database import holds
from registry import gc
from registry.blobstore import blobstore
from registry.models import Tombstone

pytestmark = pytest.mark.django_db(transaction=True)


def opened() -> Any:
    parameters = connection.get_connection_params()
    return psycopg2.connect(**{name: value for name, value in parameters.items() if isinstance(value, str)})


@pytest.fixture
def keeper(transactional_db: None) -> Iterator[Any]:
    made = opened()
    yield made
    made.close()


def test_what_is_due_stays_until_nobody_holds_it(keeper: Any) -> None:
    key = uuid.uuid4().hex
    blobstore().commit(key, blobstore().write(key, [], [b"due"]))
    Tombstone.objects.create(storage_key=key, not_before=Now(), size=3)
    with holds.held(keeper):
        assert gc.sweep()[0] == 0
        assert blobstore().size(key) == 3
    assert gc.sweep() == (1, 0)
    assert blobstore().size(key) is None


def test_a_hold_ends_with_its_connection(keeper: Any) -> None:
    def break_off() -> None:
        with holds.held(keeper):
            assert holds.is_held()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [keeper.info.backend_pid])
            assert not holds.is_held()

    with pytest.raises(holds.HoldLost):
        break_off()


def test_one_at_a_time(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "SECONDS", 0.0)
    other = opened()
    with holds.held(keeper), pytest.raises(holds.HeldByAnother), holds.held(other):
        pass
    with holds.held(other):
        assert holds.is_held()
    assert not holds.is_held()
    other.close()


def test_a_hold_keeps_no_row_from_vacuum(keeper: Any) -> None:
    """It may last for hours."""
    with holds.held(keeper), connection.cursor() as cursor:
        cursor.execute(
            "SELECT backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE pid = %s",
            [keeper.info.backend_pid],
        )
        assert cursor.fetchone() == (True,)

"""What all tests stand on: a data directory of this session's own, and servers that start when a test asks for them.

    db, transactional_db (pytest-django)   the product's code in this process, on an embedded PostgreSQL in DATA
    server, world                          the product as its users run it, over HTTP
    split_server                           the same as separate programs, with external servers and S3

With pytest-xdist every worker process is such a session.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import django
import pytest

from tests.product import Serve, Split, clean_environment

DATA = Path(tempfile.mkdtemp(prefix="harborlite-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

# Here, and not in a fixture: Django reads its settings when the first test module is imported.
_environment = clean_environment()
os.environ.clear()
os.environ.update(_environment, HARBORLITE_DATA=str(DATA), DJANGO_SETTINGS_MODULE="harborlite.settings")
django.setup()
# xdist's worker processes inherit the environment, and pytest-django would read their settings before this file ran.
del os.environ["DJANGO_SETTINGS_MODULE"]

from harborlite import generations  # noqa: E402 - as above
from harborlite.embedded import Postgres, Valkey  # noqa: E402
from registry.blobstore import blobstore  # noqa: E402
from system import config, keys  # noqa: E402
from tests.factories import World  # noqa: E402

if TYPE_CHECKING:
    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The database of the settings. It is thrown away, so it need not be durable."""
    server = Postgres(DATA, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def empty_store(transactional_db: None) -> Iterator[None]:
    """Rows and bytes are none but the test's own."""
    _remove_bytes()
    yield
    _remove_bytes()


def _remove_bytes() -> None:
    for path in (path for name in ("blobs", "uploads") for path in (DATA / "blobs" / name).glob("*")):
        shutil.rmtree(path)
    blobstore.cache_clear()


@pytest.fixture(autouse=True)
def _configuration_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins with the default configuration, which is not read by chance where queries are counted."""
    defaults = {key.name: key.default for key in keys.TABLE}
    monkeypatch.setattr(config, "_read", config._Read(defaults, generations.value(config._SLOT), float("inf")))


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """The broker of the settings."""
    server = Valkey(DATA)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: Postgres) -> None:
    """pytest-django asks for this before it makes the test database."""


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The test database goes with its server."""
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[Serve]:
    """The product in one, with a database, broker and blobs of its own; all tests share it."""
    with Serve() as running:
        yield running


@pytest.fixture(scope="session")
def world(server: Serve) -> Iterator[World]:
    """Makes accounts and projects on `server`."""
    made = World(server.url, server.env, server.admin_password)
    yield made
    made.close()


@pytest.fixture(scope="session")
def split_server(seaweed: "Seaweed") -> Iterator[Split]:
    """The product as separate programs."""
    with Split(seaweed) as running:
        yield running


@pytest.fixture(scope="session")
def split_world(split_server: Split) -> Iterator[World]:
    """Makes accounts and projects on `split_server`."""
    made = World(split_server.url, split_server.env, split_server.admin_password)
    yield made
    made.close()

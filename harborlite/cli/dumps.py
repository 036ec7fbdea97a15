"""The database as a file: PostgreSQL's own programs, told where the settings' database is."""

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from psycopg2.extensions import make_dsn

from harborlite import env
from harborlite.cli.output import Failure
from harborlite.footing import client

_ROWS = "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')"
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'harborlite' AND pid <> pg_backend_pid()
"""


def connect() -> Any:
    """A connection to the settings' database by itself, without the limits that are right for requests."""
    try:
        return psycopg2.connect(**_parameters())
    except psycopg2.OperationalError as error:
        raise Failure(f"the database does not answer: {str(error).strip()}") from error


def dump(file: Path, snapshot: str) -> None:
    """`file`, which is new, holds the database as the transaction sees it that exported `snapshot`."""
    _run("pg_dump", "--format=custom", "--compress=1", "--no-owner", "--no-privileges", f"--snapshot={snapshot}",
         f"--file={file}")  # fmt: skip
    with file.open("rb") as written:
        os.fsync(written.fileno())


def load(file: Path) -> None:
    """The database, which is empty, is as `file` has it; or nothing changed, and Failure."""
    _run("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(file))


def is_empty() -> bool:
    """The database has no tables."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_ROWS)
        return not cursor.fetchone()[0]


def require_unused() -> None:
    """No program of the product is connected to the database. Failure when one is."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_OTHERS)
        if count := cursor.fetchone()[0]:
            raise Failure(f"the database has {count} connections of a running server; stop web, worker and beat first")


def clear() -> None:
    """The database has no tables."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.commit()


def _parameters() -> dict[str, str]:
    """Of the settings' database, in libpq's words."""
    database: dict[str, Any] = settings.DATABASES["default"]
    places = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    found = {word: database[name] for word, name in places.items() if database[name]}
    options: dict[str, str] = {**database["OPTIONS"], "application_name": "harborlite backup"}
    options.pop("options")  # limits
    return {**options, **found}


def _run(program: str, *arguments: str) -> None:
    """Failure, with what the program says, when it fails."""
    parameters = _parameters()
    # The arguments of a process can be seen by everybody.
    environment = env.inherited(LC_ALL="C.UTF-8", PGPASSWORD=parameters.pop("password", ""))
    command = [client(program), f"--dbname={make_dsn(**parameters)}", *arguments]
    ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - PostgreSQL's
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
        raise Failure(f"{program} failed:\n" + "\n".join(said))

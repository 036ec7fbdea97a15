"""What is done before the programs run: `harborlite migrate`, `harborlite secrets`."""

import argparse
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from harborlite import env
from harborlite.cli.output import Failure, say, show
from harborlite.kept import kept

WAIT_SECONDS = 30.0  # for the database
_LOCK = 4_841_224_651_873_293  # any number: two that migrate at once wait for each other


def migrate(_options: argparse.Namespace) -> int:
    """The database has today's tables, an administrator when it had nobody, the project `library` and its schedules."""
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    _wait_for_database()
    with connection.cursor() as cursor:
        # Limits that are right for requests are not for this.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = '60s'")
        cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        call_command("migrate", interactive=False, verbosity=0)
        _first_rows()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return 0


def _wait_for_database() -> None:
    from django.db import OperationalError, connection

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise Failure(f"no database after {WAIT_SECONDS:.0f} s: {str(error).strip()}") from error
            time.sleep(0.5)
        else:
            return


def _first_rows() -> None:
    from django.conf import settings

    from accounts.queries import users_list
    from accounts.services import admin_ensure
    from harborlite.errors import BadRequest
    from projects.services.projects import library_ensure
    from registry.scrub import schedule_ensure

    password = env.text("HARBOR_ADMIN_PASSWORD")
    if not password and not users_list().exists():
        # Written before it is true: a password that is lost can't be found again.
        file = settings.DATA / "admin-password"
        password = kept(file, _password)
        say(f"the password of the first administrator, admin, is in {file}")
    try:
        admin_ensure(password or None)
    except BadRequest as error:
        raise env.InvalidSetting(f"HARBOR_ADMIN_PASSWORD: {error.message}") from error
    library_ensure()
    schedule_ensure()


def secrets_write(options: argparse.Namespace) -> int:
    """`options.directory` has a file for each secret of compose.yaml; what is there stays as it is."""
    directory = Path(options.directory)

    def made(name: str, text: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
        return kept(directory / name, text, 0o444)  # the programs of other images read them as other users

    database, broker = made("postgres-password"), made("valkey-password")
    access_key, secret_key = made("s3-access-key"), made("s3-secret-key")
    made("secret-key", lambda: secrets.token_urlsafe(48))
    made("admin-password", _password)
    made("database-url", lambda: f"postgres://harborlite:{database}@postgres:5432/harborlite")
    made("redis-url", lambda: f"redis://:{broker}@valkey:6379/0")
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "harborlite", "credentials": credentials, "actions": actions}
    made("s3.json", lambda: json.dumps({"identities": [identity]}))
    show(f"the secrets are in {directory}")
    return 0


def _password() -> str:
    """A random password with all the kinds of characters that passwords must have."""
    while True:
        password = secrets.token_urlsafe(18)
        if any(map(str.islower, password)) and any(map(str.isupper, password)) and any(map(str.isdigit, password)):
            return password

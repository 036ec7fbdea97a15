"""Writes about signing in: what browsers' sessions leave in the audit trail, and the count of wrong passwords."""

from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import lockout, passwords, queries
from accounts.constraints import retried
from accounts.models import FailedSignIns, User
from accounts.names import MAX_LENGTH
from harborlite import origin
from harborlite.text import is_line
from system import events

_KEPT = timedelta(days=1)
_COUNT = """
    INSERT INTO accounts_failedsignins AS known (account, source, failures, last_at)
    SELECT account, %(source)s, 1, now() FROM unnest(%(accounts)s) AS account
    ON CONFLICT (account, source) DO UPDATE SET last_at = now(), failures =
        CASE WHEN known.last_at < %(forgotten)s THEN 1 ELSE known.failures + 1 END
    RETURNING account, failures
"""


def sign_in_recorded(*, user: User) -> None:
    """It is written down that `user` signed in with a browser."""
    with transaction.atomic(durable=True):
        events.emit("login", "user", user.username, description="login")


def sign_out_recorded(*, username: str) -> None:
    """It is written down that the person signed out."""
    with transaction.atomic(durable=True):
        events.emit("logout", "user", username, description="logout")


def password_check(*, account: str, user: User | None, password: str, name: str, is_told: bool = False) -> bool:
    """Whether `user`, whose key is `account`, is active and has this password; for nobody the same work, and no.

    A wrong one is counted, a right one ends the count, unless the account is disabled. TooManyRequests while the door
    is closed. `name` is what was typed; it is written down when the door closes, and, if `is_told`, also when not.
    """
    source = lockout.source_of(origin.current().address)
    with passwords.place():
        # All of it in one of few places: of many guesses at once, all but these find the door closed.
        has_failed = queries.require_open_door(account, source)
        is_right = passwords.is_right(user, password, _rehash(user))
        if user is None or not is_right:
            _failed(account=account, source=source, name=name, is_told=is_told)
            return False
    if has_failed and user.is_active:
        FailedSignIns.objects.filter(account=account, source=source).delete()
    return user.is_active


def probe_count() -> None:
    """A request that can tell its sender whether somebody exists counts as a wrong password for anybody from there.

    TooManyRequests when there were too many.
    """
    source = lockout.source_of(origin.current().address)
    queries.require_open_door(lockout.ANYBODY, source)
    _failed(account=lockout.ANYBODY, source=source, name="", is_told=False)


def sign_ins_unlock(*, user: User | None = None) -> None:
    """The doors that wrong passwords closed are open: those of `user`, or all."""
    rows = FailedSignIns.objects.all() if user is None else FailedSignIns.objects.filter(account=user.username_key)
    rows.delete()


@retried
def _failed(*, account: str, source: str, name: str, is_told: bool) -> None:
    with transaction.atomic(durable=True):
        closed = 0
        for counted, failures in _count(sorted({account, lockout.ANYBODY}), source):
            if pause := lockout.pause(counted, source, failures):
                rows = FailedSignIns.objects.filter(account=counted, source=source)
                rows.update(locked_until=Now() + timedelta(seconds=pause))
                closed = max(closed, pause)
        FailedSignIns.objects.filter(last_at__lt=Now() - _KEPT).delete()
        if closed or is_told:
            description = f"login, refused from now on for {closed} s" if closed else "login"
            shown = name if len(name) <= MAX_LENGTH and is_line(name) else ""
            events.emit("login", "user", shown, description=description, is_successful=False)


def _count(accounts: list[str], source: str) -> list[tuple[str, int]]:
    """Adds 1 to each of the counts and answers them: in one statement and in order, so that two can't deadlock."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT, {"accounts": accounts, "source": source, "forgotten": timezone.now() - lockout.FORGOTTEN}
        )
        found: list[tuple[str, int]] = cursor.fetchall()
    return found


def _rehash(user: User | None) -> passwords.Rehash:
    """The same password is kept by today's hasher, unless it changed meanwhile. Nobody loses anything by it."""

    def rehash(password: str) -> None:
        if user is not None:
            User.objects.filter(pk=user.pk, password=user.password).update(password=make_password(password))

    return rehash

"""What happened: the event words, and the ways an event takes into the audit trail and out of the house.

    emit()     a change: one row in the caller's own transaction; there exactly when the change is
    pulled()   a pull: into a buffer of this process, which a thread empties every two seconds into the table and to
               whoever counts pulls (on_pulls). Nobody waits for it

Both are also sent to the syslog server, if one is configured, by that thread and after the commit.
"""

import atexit
import csv
import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from harborlite import origin
from harborlite.actors import Actor
from harborlite.database import base as database
from system import config, syslog
from system.models import Event

logger = logging.getLogger(__name__)

# The words. An event's type is operation_resource; Harbor's types come first, in Harbor's order.

TYPES: tuple[str, ...] = tuple(
    """
    create_artifact delete_artifact pull_artifact create_project delete_project delete_repository login_user logout_user
    create_user delete_user update_user create_robot delete_robot update_configuration create_member delete_member
    update_member update_project

    update_artifact create_tag update_tag delete_tag restore_tag create_repository update_repository
    update_robot create_token delete_token create_group update_group delete_group
    create_label update_label delete_label update_quota warn_quota
    create_immutable_rule update_immutable_rule delete_immutable_rule
    create_registry update_registry delete_registry
    start_job stop_job update_schedule delete_schedule stop_queue pause_queue resume_queue purge_audit_log
    restore_artifact restore_repository restore_project purge_artifact purge_repository purge_project
    create_retention update_retention delete_retention start_retention stop_retention finish_retention
    update_in_use
    quarantine_blob release_blob warn_storage
    """.split()  # noqa: SIM905 - a table
)
_KNOWN = frozenset(TYPES)
NOBODY = "anonymous"
_SECRET_WORDS = ("password", "secret", "token", "credential", "authorization", "cookie")
HIDDEN = "***"
_INDEXED = 2000  # bytes; PostgreSQL indexes texts of up to 2,700


def emit(
    operation: str,
    resource_type: str,
    resource: str,
    *,
    project_id: int | None = None,
    project: str = "",
    description: str = "",
    is_successful: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """It is written down, in the caller's transaction, that whoever is at work (harborlite.origin) did this.

    Nothing is when administrators have switched the type off. ValueError for a type that is not in TYPES.
    """
    event_type = f"{operation}_{resource_type}"
    if event_type not in _KNOWN:
        raise ValueError(f"{event_type} is no event type; system.events.TYPES has them")
    if event_type in types_in(config.get("disabled_audit_log_event_types")):
        return
    come = origin.current()
    event = Event(
        at=timezone.now(),
        username=(come.actor.username or NOBODY)[:255],
        user_id=come.actor.user_id,
        address=come.address[:45],
        request_id=come.request_id[:64],
        operation=operation,
        resource_type=resource_type,
        resource=_kept(resource),
        project_id=project_id,
        description=_kept(description or f"{operation} {resource_type} with name: {resource}"),
        is_successful=is_successful,
        extra=without_secrets({**({"project": project} if project else {}), **(extra or {})}),
    )
    if not config.get("skip_audit_log_database"):
        event.save(force_insert=True)
    if config.get("audit_log_forward_endpoint"):
        transaction.on_commit(lambda: _send(event))


def _kept(text: str) -> str:
    """`text` as far as it can be kept, whatever a client has sent."""
    return text.replace("\0", "?").encode(errors="replace")[:_INDEXED].decode(errors="ignore")


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, hidden where a name says that it is a secret. Nobody should pass one; this is the net below."""
    return {
        name: HIDDEN
        if any(word in name.lower() for word in _SECRET_WORDS)
        else without_secrets(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


@lru_cache(maxsize=8)
def types_in(text: str) -> frozenset[str]:
    """The event types in a text that has them between commas."""
    return frozenset(word.strip() for word in text.split(",") if word.strip())


# Pulls.

MOST = 100_000
INTERVAL = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is pulled: `reference` is the tag or digest that was asked for."""

    project_id: int
    repository_id: int
    manifest_id: int
    repository: str
    """With the project's name before it."""
    reference: str
    digest: str

    @property
    def tag(self) -> str | None:
        """The tag that was asked for, None for a pull by digest."""
        return None if ":" in self.reference else self.reference

    @property
    def name(self) -> str:
        """As Harbor writes it: project/repository:tag or project/repository@digest."""
        return f"{self.repository}{':' if self.tag else '@'}{self.reference}"


class Pull(NamedTuple):
    """One pull. `at` is in seconds since 1970."""

    at: float
    artifact: Artifact
    actor: Actor
    address: str
    request_id: str


Subscriber = Callable[[Sequence[Pull]], None]

_pulls: "deque[Pull]" = deque(maxlen=MOST)
_lost = 0
_subscribers: list[Subscriber] = []


def pulled(artifact: Artifact, actor: Actor, address: str, request_id: str) -> None:
    """It will be written down that the manifest was pulled. Takes a microsecond; of a full buffer the oldest goes."""
    global _lost  # noqa: PLW0603 - about how many; two threads may count one
    if len(_pulls) == MOST:
        _lost += 1
    _pulls.append(Pull(time.time(), artifact, actor, address, request_id))


def on_pulls(subscriber: Subscriber) -> None:
    """`subscriber` is given all pulls, some at a time, in the thread that writes them down.

    It opens its own transaction. What it raises is logged, and these pulls are not given to it again.
    """
    _subscribers.append(subscriber)


# The thread.

_outbox: "deque[Event]" = deque(maxlen=10_000)
_flushing = threading.Lock()
_sender = syslog.Sender()
_is_started = False


def start() -> None:
    """From now on this process empties its buffers every two seconds, and when it ends. For programs that serve."""
    global _is_started  # noqa: PLW0603 - once a process
    if not _is_started:
        _is_started = True
        threading.Thread(target=_run, name="events", daemon=True).start()
        atexit.register(flush)


def _run() -> None:
    while True:
        time.sleep(INTERVAL)
        flush()


def flush() -> None:
    """What is buffered is in the table, counted and sent; what can't be now stays buffered. Raises nothing."""
    global _lost
    with _flushing:
        lost, _lost = _lost, 0
        if lost:
            logger.error("about %d pulls were not written down: they came faster than the database took them", lost)
        pulls = [_pulls.popleft() for _ in range(len(_pulls))]
        try:
            if pulls:
                _deliver(pulls)
            if _outbox:
                _forward()
        except Exception:
            logger.exception("events could not be written down")
        finally:
            if not connection.in_atomic_block:
                database.release()


def _deliver(pulls: list[Pull]) -> None:
    try:
        is_off = config.get("pull_audit_log_disable") or "pull_artifact" in types_in(
            config.get("disabled_audit_log_event_types")
        )
        if not is_off and not config.get("skip_audit_log_database"):
            _copy(pulls)
    except (OperationalError, InterfaceError) as error:
        kept = pulls[max(0, len(pulls) + len(_pulls) - MOST) :]
        _pulls.extendleft(reversed(kept))
        logger.warning("%d pulls wait to be written down: %s", len(kept), str(error).strip())
        return
    for subscriber in _subscribers:
        try:
            subscriber(pulls)
        except Exception:
            logger.exception("pulls could not be counted")
    if not is_off and config.get("audit_log_forward_endpoint"):
        _outbox.extend(Event(**_columns(pull)) for pull in pulls)


def _copy(pulls: Sequence[Pull]) -> None:
    """All rows at once: ten times as fast as INSERT, and here it is tens of thousands."""
    lines, columns = io.StringIO(), ", ".join(_columns(pulls[0]))
    csv.writer(lines).writerows(_columns(pull).values() for pull in pulls)
    lines.seek(0)
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.copy_expert(
            f"COPY {Event._meta.db_table} ({columns}) FROM STDIN"
            " WITH (FORMAT csv, FORCE_NOT_NULL (address, request_id, description))",
            lines,
        )


def _columns(pull: Pull) -> dict[str, Any]:
    name = pull.artifact.name
    return {
        "at": datetime.fromtimestamp(pull.at, UTC),
        "username": (pull.actor.username or NOBODY)[:255],
        "user_id": pull.actor.user_id,
        "address": pull.address[:45],
        "request_id": pull.request_id[:64],
        "operation": "pull",
        "resource_type": "artifact",
        "resource": name,
        "project_id": pull.artifact.project_id,
        "description": f"pull artifact with name: {name}",
        "is_successful": True,
        "extra": f'{{"digest": "{pull.artifact.digest}"}}',
    }


def _send(event: Event) -> None:
    _outbox.append(event)
    if not _is_started:  # a command: nobody waits for its answer, and nothing comes after it
        flush()


def _forward() -> None:
    """What waits is sent; what the server does not take now stays, up to 10,000 events."""
    endpoint = config.get("audit_log_forward_endpoint")
    if not endpoint:
        _outbox.clear()
    while _outbox:
        event = _outbox.popleft()
        try:
            _sender.send(endpoint, event)
        except OSError as error:
            _outbox.appendleft(event)
            logger.warning("%d events wait to be forwarded to %s: %s", len(_outbox), endpoint, error)
            return

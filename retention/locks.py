"""The lock between what a run deletes and what says that it may not.

    a run deletes an artifact                     holds the project's decisions, then looks, then deletes
    a policy changes, a digest is reported        hold them alone: wait for the former, and they for it

So from the answer to a report or a change on, nothing goes against it, whatever was under way.
"""

from django.db import connection

_LOCKS = 0x2E7E5 << 40  # a range of PostgreSQL's advisory locks: with a project's id, that project's decisions


def decisions_held(project_id: int) -> None:
    """Until the caller's transaction ends nobody changes the policy of the project, nor what it has in use."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCKS + project_id])


def decisions_hold_alone(project_id: int) -> None:
    """Until the caller's transaction ends nobody else changes them, nor deletes anything by them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCKS + project_id])

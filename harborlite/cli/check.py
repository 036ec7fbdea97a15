"""`harborlite check`."""

import argparse
from collections.abc import Callable

from harborlite.cli.output import show


def check(_options: argparse.Namespace) -> int:
    """A line for each part; 1 when one of them is not well. Wrong settings ended the command before this."""
    import django

    django.setup()
    from harborlite import health

    parts: list[tuple[str, Callable[[], None]]] = [
        ("database", health.ask_database),
        ("tables", _ask_tables),
        ("broker", health.ask_broker),
        ("storage", health.ask_storage),
    ]
    show("settings  ok")
    status = 0
    for name, ask in parts:
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - however it fails, it is unwell
            status = 1
            show(f"{name:8}  {' '.join(str(error).split())}")
        else:
            show(f"{name:8}  ok")
    return status


def _ask_tables() -> None:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise LookupError("not up to date: run `harborlite migrate`")

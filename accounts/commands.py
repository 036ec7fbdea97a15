"""The frame of our management commands: a noun with verbs, `harborlite user create NAME`."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError
from psycopg2 import errorcodes

from harborlite.errors import HarborliteError

Run = Callable[..., None]
AddVerb = Callable[[str, Run, str], ArgumentParser]


class NounCommand(BaseCommand):
    """A subclass names its verbs in `add_verbs`; each is a parser and the method that runs.

    Whatever a service refuses is one line on standard error and exit status 1.
    """

    requires_system_checks = ()

    def add_verbs(self, add: AddVerb) -> None:
        """`add(verb, method, help)` for each verb, which answers its parser."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def add(verb: str, run: Run, text: str) -> ArgumentParser:
            sub: ArgumentParser = verbs.add_parser(verb, help=text, description=text)
            sub.set_defaults(run=run)
            return sub

        self.add_verbs(add)

    def handle(self, *args: Any, **options: Any) -> None:
        run: Run = options.pop("run")
        try:
            run(**options)
        except HarborliteError as error:
            raise CommandError(error.message) from error
        except OperationalError as error:
            raise CommandError(f"the database is not available: {str(error).strip().splitlines()[0]}") from error
        except ProgrammingError as error:
            if getattr(error.__cause__, "pgcode", None) != errorcodes.UNDEFINED_TABLE:
                raise
            raise CommandError("the database's tables are not there; run `harborlite migrate`") from error

    def say(self, text: str) -> None:
        """A line on standard output."""
        self.stdout.write(text)

    def show(self, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """A table: columns as wide as their widest cell."""
        table = [list(heads), *([str(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

"""`harborlite fsck`: whether database and object storage agree."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from registry import fsck


class Command(BaseCommand):
    help = (
        "Checks that every blob, manifest and upload the database names is stored and whole, and what else must be "
        "true of its rows. May run beside a server. Changes nothing without --repair."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read all blobs and compare their digests")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="make right what can be: damaged blobs are answered as unknown until they are pushed again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # the limit of requests is not for this
        left = repaired = 0
        for violation in fsck.check(deep=options["deep"]):
            done = violation.repair() if options["repair"] and violation.repair is not None else ""
            self.stdout.write(f"{violation}: {done}" if done else str(violation))
            is_repaired = bool(done) and not violation.needs_push
            left, repaired = left + (not is_repaired), repaired + is_repaired
        if repaired:
            self.stdout.write(f"{repaired} violations repaired")
        if left:
            raise CommandError(f"{left} violations {'left' if options['repair'] else 'found'}")
        if not repaired:
            self.stdout.write("no violations found")

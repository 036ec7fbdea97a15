"""`harborlite fsck`: whether database and object storage agree."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry import fsck


class Command(BaseCommand):
    help = "Checks that every blob, manifest and upload the database names is stored and whole. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read all blobs and compare their digests")

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for violation in fsck.check(deep=options["deep"]):
            self.stdout.write(str(violation))
            found += 1
        if found:
            raise CommandError(f"{found} violations found")
        self.stdout.write("no violations found")

"""`harborlite scrub`: begins to read stored blobs now, instead of at the next day's time."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from harborlite.errors import Conflict
from registry.scrub import scrub_start


class Command(BaseCommand):
    help = "Asks a worker to read stored blobs and compare them with their digests: a slice, or with --all every one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="every blob, instead of this day's slice")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            execution = scrub_start(is_all=options["all"])
        except Conflict as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"execution {execution.pk} has begun; `harborlite jobs` shows how far it is")

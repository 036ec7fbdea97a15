"""The command `harborlite`: what it can be told, and who does it. What a command needs is imported when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "serve": ("serve.serve", "run everything in one: database, broker, web server, worker and scheduler"),
    "web": ("programs.web", "run the web server"),
    "worker": ("programs.worker", "run a worker"),
    "beat": ("programs.beat", "run the scheduler; one is enough"),
    "migrate": ("prepare.migrate", "bring the database up to date, with a first administrator and project"),
    "backup": ("backup.backup", "copy the database and all blobs into a directory, while the server runs"),
    "restore": ("restore.restore", "make a server from a backup"),
    "check": ("check.check", "say whether settings, database, broker and blob storage are well"),
    "jobs": ("jobs.jobs", "show what is under way, how far it is and how fast it goes"),
    "secrets": ("prepare.secrets_write", "write random secrets for compose.yaml into a directory, once"),
}
"""Name -> function of a module in this package, and help. It takes the options, answers the exit status."""

NOUNS = {
    "user": "people's accounts",
    "project": "projects",
    "member": "who has which role in a project",
    "robot": "accounts of machines",
    "token": "people's access tokens",
    "remote": "other registries",
    "fsck": "compare the database with the stored blobs, and repair it",
    "scrub": "read stored blobs now and compare them with their digests",
}
"""Management commands of the apps, which read their own arguments."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="harborlite",
        description="A multi-tenant container registry. Its settings are environment variables: docs/settings.md.",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", metavar="DIR", default=argparse.SUPPRESS, help="where everything is kept, instead of HARBORLITE_DATA"
    )
    top.add_argument("--data", metavar="DIR", help=argparse.SUPPRESS)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_function, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, parents=[data])
        if name in ("serve", "web"):
            command.add_argument("--bind", metavar="HOST:PORT", help="where it listens, instead of HARBORLITE_BIND")
        if name == "worker":
            command.add_argument("--queues", metavar="A,B", help="the queues whose work it does, instead of all")
        if name == "jobs":
            command.add_argument("--follow", action="store_true", help="go on showing it, until nothing is under way")
        if name == "backup":
            command.add_argument("--keep", type=int, default=7, metavar="N", help="how many backups are left (7)")
            command.add_argument("--without-blobs", action="store_true", help="the database alone")
        if name == "restore":
            command.add_argument("--at", metavar="TIME", help="which backup, instead of the newest")
            command.add_argument("--replace", action="store_true", help="lose what the database holds")
        if name in ("secrets", "backup", "restore"):
            command.add_argument("directory", metavar="DIR")
    for name, text in NOUNS.items():
        commands.add_parser(name, help=text, add_help=False)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process: status 0, 1 for a failure, 2 for a wrong command or setting."""
    options, rest = parser().parse_known_args(arguments)
    if rest and options.command in COMMANDS:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")
    for name, variable in (("data", "HARBORLITE_DATA"), ("bind", "HARBORLITE_BIND")):
        if value := getattr(options, name, None):
            os.environ[variable] = value
    sys.exit(_run(options, rest))


def _run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    from harborlite import env
    from harborlite.cli.output import Failure, say
    from harborlite.errors import HarborliteError
    from harborlite.footing import EmbeddedError

    try:
        if options.command != "secrets":  # which makes what some settings name
            env.require_valid()  # before anything starts, and all of them: a wrong one may be another process's
            import harborlite.settings  # noqa: F401 - it knows of more that can be wrong
            from system import keys

            keys.fixed()

        if options.command in NOUNS:
            from django.core.management import execute_from_command_line

            execute_from_command_line(["harborlite", options.command, *rest])
            return 0
        module, _, function = COMMANDS[options.command][0].partition(".")
        status: int = getattr(import_module(f"harborlite.cli.{module}"), function)(options)
    except env.InvalidSetting as error:
        say(str(error))
        return 2
    except (Failure, EmbeddedError, HarborliteError, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return status

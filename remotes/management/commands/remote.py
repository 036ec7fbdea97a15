"""`harborlite remote`: the other registries that this one talks to."""

from typing import Any

from accounts.commands import AddVerb, NounCommand
from remotes import queries, services


class Command(NounCommand):
    help = "Other registries: list, check, reseal."

    def add_verbs(self, add: AddVerb) -> None:
        add("list", self.list, "List them, and how they were when they were last asked.")
        add("check", self.check_all, "Ask each whether it is well.")
        add("reseal", self.reseal, "Store their passwords under the current HARBORLITE_SECRET_KEY.")

    def list(self, **_options: Any) -> None:
        self.show(
            ("name", "type", "url", "status", "asked (UTC)"),
            (
                (remote.name, remote.kind, remote.url, remote.status, f"{remote.checked_at:%Y-%m-%d %H:%M}")
                for remote in queries.remotes().order_by("name")
            ),
        )

    def check_all(self, **_options: Any) -> None:
        self.say(f"{services.remotes_check()} of {queries.remotes().count()} are not well")

    def reseal(self, **_options: Any) -> None:
        self.say(f"stored {services.remotes_reseal()} passwords under the current key")

"""How the tests' clients reach the tests' registries."""

from remotes.client import Target
from remotes.login import Credentials
from tests.remote_fake import FakeRegistry


def target(fake: FakeRegistry, password: str | None = None, **further: object) -> Target:
    """`fake` as nobody sees it, or as its user with its password or another one."""
    known = None if not fake.auth else Credentials(fake.username, fake.password if password is None else password)
    return Target(fake.url, lambda: known, **further)  # type: ignore[arg-type]  # fields of Target

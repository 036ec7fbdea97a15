"""What a check finds."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """One thing that is not as it must be: of which kind, about what, and how it is."""

    kind: str
    subject: str
    problem: str
    repair: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    """Makes it right as far as that is safe, whatever happened since it was found; says what was done.

    Empty when nothing was: somebody else was faster, or it can't be done. None when nothing can be done here.
    """
    needs_push: bool = False
    """Only a client that pushes it again brings it back; the repair keeps it from being given out until then."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.problem}"

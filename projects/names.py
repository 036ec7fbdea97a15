"""The grammar of project and robot names: Harbor's, which is one component of an OCI repository name. Pure."""

import re

MAX_LENGTH = 255
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
RULE = f"lower case letters and digits, joined by single dots, underscores or hyphens, at most {MAX_LENGTH} characters"


def is_name(text: str) -> bool:
    """Whether a project or a robot may be called `text`."""
    return len(text) <= MAX_LENGTH and _NAME.fullmatch(text) is not None

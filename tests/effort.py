"""How much the long tests do: TEST_EFFORT times what they do in a CI run, 1 when it is not set."""

import os

EFFORT = float(os.environ.get("TEST_EFFORT", "1"))
SECONDS = 600 * max(EFFORT, 1)
"""Of one test, at most."""


def effort(usual: int) -> int:
    return max(int(usual * EFFORT), 1)

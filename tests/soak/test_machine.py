"""The registry against its model: whatever is done to it in whatever order, the server is as the model says.

hypothesis draws --> an act (tests.soak.acts) --> the server, over HTTP, and the model --> they answer alike
                            after each: the look (tests.soak.stage) compares all that anybody can see
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.crash.scene import Scene
from tests.effort import SECONDS, effort
from tests.product import Serve
from tests.soak import acts, nature  # noqa: F401 - registers its acts
from tests.soak.stage import PLACES, Cast, Drawn, Stage

RUNS, STEPS = 10, 40
places = st.sampled_from([f"{key}/{path}" for key, paths in PLACES.items() for path in paths])
numbers = st.integers(0, 19)
people = st.sampled_from([*["insider"] * 8, "stranger", "nobody"])


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Serve({"HARBORLITE_TOMBSTONE_SECONDS": "0", "HARBORLITE_GC_RATE": "0", "HARBORLITE_JOB_LEASE": "2"}) as server:
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.mark.timeout(SECONDS)
def test_server_is_as_the_model(scene: Scene) -> None:
    """I2, I3, I5, I9 and I11 after each step."""
    cast = Cast.on(scene)

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.stage = Stage(cast)

        @initialize(first=numbers, second=numbers)
        def something_is_there(self, first: int, second: int) -> None:
            for place, number in (("ours/app", first), ("theirs/app", second)):
                acts.push(self.stage, Drawn(place, place, number, "insider"))

        @rule(act=st.sampled_from(acts.ACTS), place=places, other=places, number=numbers, kind=people)
        def step(self, act: acts.Act, place: str, other: str, number: int, kind: str) -> None:
            act(self.stage, Drawn(place, other, number, kind))

        @invariant()
        def server_is_as_the_model(self) -> None:
            self.stage.compare()

        def teardown(self) -> None:
            self.stage.compare_all()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=effort(RUNS),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    scene.assert_tidy()

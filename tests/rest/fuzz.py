"""Schemathesis over our own OpenAPI: what every operation is asked, as whom, and what no answer may be.

    description -- schemathesis --> case -- Target.aim --> a real server -- checks
                                               |
                                what exists in the path, nothing that would lock the tester out

Each module test_fuzz_*.py is one role with a server of its own, so that what it breaks is nobody else's. Of an
operation's examples most are as the description says, the others are not. They are the same in each run.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.effort import effort
from tests.factories import ROLES, Account, World
from tests.product import Serve
from tests.rest.contract import key
from tests.rest.scene import NOUNS, Scene

EXAMPLES = effort(80)
SHARES = {GenerationMode.POSITIVE: 0.7, GenerationMode.NEGATIVE: 0.3}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MAY_BE_EMPTY = ("GET /system/gc/schedule", "GET /system/purgeaudit/schedule")
"""Harbor says so that there is none, and its clients expect it; OpenAPI has no words for it."""
OF_NONE = [not_a_server_error, status_code_conformance, response_headers_conformance]
LOCKS_OUT = ("read_only", "auth_mode", "primary_auth_mode", "audit_log_forward_endpoint", "robot_name_prefix")
"""Settings that would end the run, or send what happens here elsewhere; their values are tests of their own."""
NOBODYS = "1999999999"

_DOCUMENT: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = {key(method, path): (path, method) for path, methods in _DOCUMENT["paths"].items() for method in methods}


@cache
def _schema() -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(_DOCUMENT)


@dataclass
class Target:
    """The server, who asks, and what is there to be asked for."""

    world: World
    scene: Scene
    account: Account | None
    own_id: int
    session: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def of(cls, world: World, account: Account | None, role: str | None = None) -> "Target":
        scene = Scene(world)
        for noun in NOUNS:
            scene.value(noun)
        if account is not None and role is not None:
            world.clerk("member_add", project=scene.project, username=account.login, role=ROLES[role])
        return cls(world, scene, account, scene.user_id_of(account) if account else 0)

    def examine(self, operation: str, examples: int = EXAMPLES) -> Counter[int]:
        """Asks for the operation in that many examples; how often it got which status."""
        path, method = OPERATIONS[operation]
        described, got = _schema()[path][method], Counter[int]()
        for mode, share in SHARES.items():
            if mode is GenerationMode.NEGATIVE and not described.definition.raw.get("parameters"):
                continue  # there is nothing to get wrong
            strategy = described.as_strategy(generation_mode=mode)

            @hypothesis.settings(
                max_examples=int(examples * share),
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
                phases=[hypothesis.Phase.generate],
            )
            @hypothesis.given(case=strategy)
            def ask(case: schemathesis.Case) -> None:
                got[self.ask(case)] += 1

            ask()
        return got

    def ask(self, case: schemathesis.Case) -> int:
        """Sends `case`, and fails when the answer is none that there may be; its status."""
        self.aim(case)
        auth = (self.account.login, self.account.secret) if self.account else None
        response = case.call(base_url=self.world.url, session=self.session, auth=auth)
        self.session.cookies.clear()
        is_none = not response.content and key(case.method, case.operation.path) in MAY_BE_EMPTY
        case.validate_response(response, checks=OF_NONE if is_none else CHECKS)
        return response.status_code

    def aim(self, case: schemathesis.Case) -> None:
        """Puts what exists into the path of every other valid case, and keeps the tester in."""
        parameters = case.path_parameters or {}
        segments = case.operation.path.split("/")
        is_aimed = not _is_negative(case, ParameterLocation.PATH) and _is_even(case)
        for name, value in parameters.items():
            place = segments.index("{" + name + "}")
            noun = segments[place - 1]
            kept = self.scene.value(noun)
            is_deleted = case.method == "DELETE" and "{" not in "".join(segments[place + 1 :])
            if is_aimed and not is_deleted:
                parameters[name] = kept
            elif str(value) in ((str(self.own_id), "1", kept) if noun == "users" else (kept,)):
                parameters[name] = NOBODYS
        if key(case.method, case.operation.path) == "PUT /configurations" and isinstance(case.body, dict):
            for name in LOCKS_OUT:
                case.body.pop(name, None)


def _is_negative(case: schemathesis.Case, location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta else None
    return component is not None and component.mode is GenerationMode.NEGATIVE


def _is_even(case: schemathesis.Case) -> bool:
    """A coin that falls the same way for the same case."""
    return sum(repr((case.query, case.body, case.path_parameters)).encode()) % 2 == 0


@pytest.fixture(scope="module")
def own_world() -> Iterator[World]:
    """A server of this module's own."""
    with Serve() as server:
        world = World(server.url, server.env, server.admin_password)
        yield world
        world.close()

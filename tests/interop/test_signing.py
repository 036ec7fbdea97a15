"""cosign and notation: signatures and attestations, kept beside what they speak of."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import World
from tests.interop.conftest import Place
from tests.interop.programs import Home, Program

pytestmark = pytest.mark.interop

# Keys of our own, no transparency log: nothing outside is asked.
SIGN = ("--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--yes")
VERIFY = ("--key", "cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry")

TRUST = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "all",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:tester"],
            "trustedIdentities": ["*"],
        }
    ],
}


@pytest.fixture
def cosign(home: Home, registry: Place) -> Program:
    """It is logged in as the owner and has a pair of keys."""
    program = replace(home, extra={"COSIGN_PASSWORD": "of-the-key"}).program("cosign")
    program("login", registry.host, "-u", registry.owner.login, "-p", registry.owner.secret)
    program("generate-key-pair")
    return program


@pytest.fixture
def image(registry: Place, world: World) -> tuple[str, str]:
    """Path and digest of a pushed image."""
    path = registry.path()
    return path, world.player().push_image(path, "v1").digest


def _reference(registry: Place, image: tuple[str, str]) -> str:
    return f"{registry.host}/{image[0]}@{image[1]}"


def test_cosign_keeps_a_signature_under_a_tag_made_of_the_digest(
    cosign: Program, registry: Place, world: World, image: tuple[str, str]
) -> None:
    reference = _reference(registry, image)
    assert "no signatures found" in cosign.refused("verify", *VERIFY, reference)
    cosign("sign", *SIGN, reference)
    signed = json.loads(cosign("verify", *VERIFY, reference))
    assert signed[0]["critical"]["image"]["docker-manifest-digest"] == image[1]
    assert world.player().tags(image[0]) == [image[1].replace(":", "-") + ".sig", "v1"]


def test_cosign_keeps_a_signature_as_a_referrer(
    cosign: Program, registry: Place, world: World, image: tuple[str, str]
) -> None:
    reference = _reference(registry, image)
    modern = replace(cosign, home=replace(cosign.home, extra={**cosign.home.extra, "COSIGN_EXPERIMENTAL": "1"}))
    modern("sign", *SIGN, "--registry-referrers-mode=oci-1-1", reference)
    modern("verify", *VERIFY, "--experimental-oci11", reference)
    kinds = [entry["artifactType"] for entry in world.player().referrers(*image)]
    assert kinds == ["application/vnd.dev.cosign.artifact.sig.v1+json"]
    assert world.player().tags(image[0]) == ["v1"]


def test_cosign_attests_and_verifies_what_was_attested(
    cosign: Program, registry: Place, image: tuple[str, str]
) -> None:
    reference = _reference(registry, image)
    (cosign.home.directory / "said.json").write_text('{"built": "here"}')
    cosign("attest", *SIGN, "--type", "custom", "--predicate", "said.json", reference)
    envelope = json.loads(cosign("verify-attestation", *VERIFY, "--type", "custom", reference))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"


def test_cosign_copies_an_image_with_its_signature(cosign: Program, registry: Place, image: tuple[str, str]) -> None:
    cosign("sign", *SIGN, _reference(registry, image))
    target = registry.path()
    cosign("copy", "--allow-http-registry", f"{registry.host}/{image[0]}:v1", f"{registry.host}/{target}:v1")
    cosign("verify", *VERIFY, _reference(registry, (target, image[1])))


@pytest.fixture
def notation(home: Home, registry: Place) -> Program:
    """It has the owner's credentials, a key, and trusts the key."""
    credentials = {"NOTATION_USERNAME": registry.owner.login, "NOTATION_PASSWORD": registry.owner.secret}
    program = replace(home, extra=credentials).program("notation")
    program("cert", "generate-test", "--default", "tester")
    trust: Path = home.directory / "trust.json"
    trust.write_text(json.dumps(TRUST))
    program("policy", "import", trust)
    return program


def test_notation_signs_lists_and_verifies(
    notation: Program, registry: Place, world: World, image: tuple[str, str]
) -> None:
    reference = _reference(registry, image)
    assert "no signature" in notation.refused("verify", "--insecure-registry", reference)
    notation("sign", "--insecure-registry", reference)
    signature = world.player().referrers(*image)[0]
    assert signature["artifactType"] == "application/vnd.cncf.notary.signature"
    assert signature["digest"] in notation("list", "--insecure-registry", reference)
    assert "Successfully verified" in notation("verify", "--insecure-registry", reference)

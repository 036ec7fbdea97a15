"""F-27: web and workers whose clocks are ten minutes off, each to another side.

Leases and jobs go by the database's clock, which is right.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.crash.scene import Scene
from tests.images import sha256, unique
from tests.product import Serve, wait_for
from tests.rest.api import Api
from tests.soak.jobs import ended, gc

SOURCE = Path(__file__).with_name("skew.c")
COMPILER = shutil.which("cc")
MINUTES = timedelta(minutes=1)
LEASE = 600  # seconds
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler for a library that skews clocks")


@pytest.fixture(scope="module", params=["web behind", "web ahead"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server whose web processes are ten minutes off, and its workers and its scheduler to the other side."""
    library = tmp_path_factory.mktemp("skew") / "skew.so"
    build = [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(build, check=True, timeout=60)
    off = 600 if request.param == "web ahead" else -600
    settings = {
        "LD_PRELOAD": str(library),
        "CLOCK_SKEW": f"gunicorn:{off},celery:{-off}",
        "HARBORLITE_LEASE_SECONDS": str(LEASE),
        "HARBORLITE_RESTORE_DAYS": "0",
        "HARBORLITE_TOMBSTONE_SECONDS": "0",
        "HARBORLITE_JOB_LEASE": "5",
    }
    with Serve(settings) as server:
        for name in ("LD_PRELOAD", "CLOCK_SKEW"):  # not for who watches
            server.env.pop(name)
        scene = Scene(server)
        yield scene
        scene.close()


@pytest.fixture
def admin(scene: Scene) -> Api:
    return Api(scene.world.url, scene.world.admin_account)


def test_clocks_are_off(scene: Scene) -> None:
    """What the others rest on."""
    told = scene.world.player().send("GET", "/v2/").headers["Date"]
    off = abs(parsedate_to_datetime(told) - datetime.now(UTC))
    assert 9 * MINUTES < off < 11 * MINUTES
    assert os.environ.get("LD_PRELOAD") is None


def test_leases_are_the_databases(scene: Scene, admin: Api) -> None:
    """A worker whose clock says that they are over collects nothing; nor does one keep what is over."""
    client, repository, content = scene.world.player(), scene.world.repository(), unique()
    client.push_blob(repository, content)
    gc(admin)
    assert client.head_blob(repository, sha256(content)).status == 200
    scene.janitor("time_passes", seconds=LEASE + 1)
    assert gc(admin)["result"]["blobs"] >= 1
    assert client.head_blob(repository, sha256(content)).status == 404


def test_tokens_are_good_for_as_long_as_they_say(scene: Scene) -> None:
    """The processes that give them out are those that take them."""
    client, repository = scene.world.player(), scene.world.repository()
    image = client.push_image(repository, "v1")
    told = client.token(f"repository:{repository}:pull").json()
    assert told["expires_in"] >= 60
    assert client.pull(repository, "v1").keys() >= {image.digest}


def test_a_schedule_has_its_next_time_by_the_databases_clock(scene: Scene, admin: Api) -> None:
    """It neither begins at once because a clock is ahead, nor is it skipped."""
    body = {"schedule": {"type": "Custom", "cron": "0 * * * * *"}, "parameters": {"dry_run": True}}
    runs = admin.get("/system/gc", page_size=1)
    before = runs[0]["id"] if runs else 0
    admin.create("/system/gc/schedule", body)
    try:
        following = datetime.fromisoformat(
            admin.get("/system/gc/schedule")["schedule"]["next_scheduled_time"].replace("Z", "+00:00")
        )
        assert timedelta(0) < following - datetime.now(UTC) + timedelta(seconds=1) <= MINUTES + timedelta(seconds=1)
        wait_for("it began", lambda: any(run["id"] > before for run in admin.get("/system/gc", page_size=1)), 100)
        begun = admin.get("/system/gc", page_size=1)[0]
        assert datetime.now(UTC) >= following
        assert begun["job_kind"] == "SCHEDULE"
        ended(admin, f"/system/gc/{begun['id']}", "job_status")  # two at once are refused
    finally:
        admin.done("PUT", "/system/gc/schedule", {"schedule": {"type": "None"}})

"""The calls of harbor-cli: how it signs in, and where it reads what it prints."""

from tests.factories import World, fresh
from tests.rest.api import Api
from tests.rest.scene import Scene


def test_sign_in_of_a_person(world: World) -> None:
    account = world.user()
    assert Api(world.url, account).get("/users/current")["username"] == account.login


def test_sign_in_of_a_robot(world: World) -> None:
    """412 tells it that this is a robot; then it looks whether projects can be listed and whether there is a ping."""
    robot = Api(world.url, world.robot(world.project()))
    answer = robot("GET", "/users/current")
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    assert robot("GET", "/projects").status == 200
    assert robot("GET", "/ping").status == 200


def test_sign_in_with_a_wrong_secret(world: World) -> None:
    for login in ("admin", "robot$nobody", fresh("user")):
        answer = Api(world.url, world.user().__class__(login, "wrong"))("GET", "/users/current")
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer.json()["errors"][0]["message"]


def test_prints_the_first_message(scene: Scene) -> None:
    """Every refusal says what is wrong, in a sentence."""
    answer = scene.admin("POST", "/projects", {"project_name": scene.project})
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])
    assert scene.project in answer.json()["errors"][0]["message"]


def test_project_command(scene: Scene) -> None:
    """`project search`, `project logs`, `project config`, `project summary`."""
    assert scene.admin.get("/search", q=scene.project)["project"][0]["name"] == scene.project
    assert isinstance(scene.admin.get(f"/projects/{scene.project}/auditlog-exts", page_size=15, sort="-op_time"), list)
    assert scene.admin.get(f"/projects/{scene.project}/metadatas/")["public"] == "false"
    assert scene.admin.get(f"/projects/{scene.project}/summary")["repo_count"] >= 0


def test_log_command(scene: Scene) -> None:
    events = scene.admin.get("/auditlog-exts/events")
    assert {"event_type": "create_project"} in events
    listed = scene.admin.get("/auditlog-exts", q="operation=create,resource_type=project", page_size=100)
    assert listed
    assert {(entry["operation"], entry["resource_type"]) for entry in listed} == {("create", "project")}


def test_jobservice_queues_command(scene: Scene) -> None:
    """`jobservice queues list`; `pause`, `resume` and `stop` send the type in upper case, also `ALL`."""
    queues = {queue["job_type"]: queue for queue in scene.admin.get("/jobservice/queues")}
    assert {"GARBAGE_COLLECTION", "PURGE_AUDIT_LOG", "RETENTION", "SCHEDULER"} <= set(queues)
    scene.admin.done("PUT", "/jobservice/queues/PURGE_AUDIT_LOG", {"action": "pause"})
    paused = {queue["job_type"] for queue in scene.admin.get("/jobservice/queues") if queue["paused"]}
    assert paused == {"PURGE_AUDIT_LOG"}
    scene.admin.done("PUT", "/jobservice/queues/ALL", {"action": "resume"})
    assert not [queue for queue in scene.admin.get("/jobservice/queues") if queue["paused"]]
    answer = scene.admin("PUT", "/jobservice/queues/NOTHING", {"action": "stop"})
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
    assert "NOTHING" in answer.json()["errors"][0]["message"]


def test_schedule_list_command(scene: Scene) -> None:
    body = {"schedule": {"type": "Weekly", "cron": "0 0 0 * * 0"}, "parameters": {"workers": 1}}
    scene.admin.done("PUT", "/system/gc/schedule", body)
    listed = scene.admin.get("/schedules", page=1, page_size=10)
    assert [
        (entry["cron"], entry["vendor_id"]) for entry in listed if entry["vendor_type"] == "GARBAGE_COLLECTION"
    ] == [("0 0 0 * * 0", 0)]
    scene.admin.done("PUT", "/system/gc/schedule", {"schedule": {"type": "None"}})
    assert "GARBAGE_COLLECTION" not in {entry["vendor_type"] for entry in scene.admin.get("/schedules")}


def test_registry_command(scene: Scene) -> None:
    """`registry create` offers the kinds there are, looks for the name first, and reads ids from a list by name."""
    kinds = scene.admin.get("/replication/adapters")
    name = fresh("registry")
    assert scene.admin.get("/registries", q=f"name={name}", page_size=100) == []
    body = {"name": name, "type": "harbor", "url": scene.world.url, "insecure": False, "description": ""}
    credential = {"access_key": "", "access_secret": "", "type": "basic"}
    assert body["type"] in kinds
    scene.admin.create("/registries", {**body, "credential": credential})
    number = scene.admin.get("/registries", q=f"name={name}")[0]["id"]
    scene.admin.done("PUT", f"/registries/{number}", {"name": name, "description": "from the command line"})
    assert scene.admin.get(f"/registries/{number}")["description"] == "from the command line"
    scene.admin.done("DELETE", f"/registries/{number}")
    answer = scene.admin("DELETE", f"/registries/{number}")
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])

"""Runs and schedules of the instance's jobs through the REST API, by the purge: what is taken, refused and told."""

import json

import pytest

from system import jobs
from system.jobs import rows, worker
from system.jobs.run import perform
from system.models import Execution, Schedule
from tests.system.administrator import ROOT, Administrator, told
from tests.system.worker import run_jobs

PATH = f"{ROOT}/system/purgeaudit"
GC = f"{ROOT}/system/gc"
PARAMETERS = {"audit_retention_hour": 24, "include_event_types": "pull_artifact", "dry_run": False}


def asked(admin: Administrator, path: str, times: object, parameters: object = None) -> str:
    """The Location of what was asked for."""
    return str(admin("POST", f"{path}/schedule", body_of(times, parameters), status=201)["Location"])


def body_of(times: object, parameters: object = None) -> dict[str, object]:
    return {"schedule": times, **({} if parameters is None else {"parameters": parameters})}


@pytest.fixture
def admin(db: None) -> Administrator:
    return Administrator()


# By hand.


def test_a_run_by_hand(admin: Administrator, transactional_db: None) -> None:
    location = asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    execution = Execution.objects.get()
    assert location == f"{PATH}/{execution.pk}"
    assert (execution.kind, execution.trigger, execution.username) == ("PURGE_AUDIT_LOG", "MANUAL", "boss")
    assert execution.parameters == PARAMETERS
    assert told() == [("start", "job", "PURGE_AUDIT_LOG")]
    before = admin.get(location)
    assert (before["job_status"], before["progress"]["done"], before["result"]) == ("Pending", 0, {})
    run_jobs()
    after = admin.get(location)
    assert (after["job_status"], after["job_name"], after["job_kind"]) == ("Success", "PURGE_AUDIT_LOG", "MANUAL")
    assert after["schedule"] == {"type": "Manual", "cron": "", "next_scheduled_time": "0001-01-01T00:00:00.000Z"}
    assert json.loads(after["job_parameters"]) == PARAMETERS
    assert after["result"]["purged"] == 0
    assert [run["id"] for run in admin.get(PATH)] == [execution.pk]


def test_its_log_is_a_text(admin: Administrator, transactional_db: None) -> None:
    location = asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    run_jobs()
    lines = admin.text(f"{location}/log").splitlines()
    assert any("pull_artifact" in line for line in lines)
    assert all(line[:4].isdigit() and line[10] == "T" for line in lines)


def test_a_second_one_waits_for_the_first(admin: Administrator) -> None:
    asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    said = admin.refused("POST", f"{PATH}/schedule", body_of({"type": "Manual"}, PARAMETERS), status=409)
    assert "under way" in said
    assert Execution.objects.count() == 1
    assert len(told()) == 1


def test_it_is_stopped(admin: Administrator) -> None:
    location = asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    admin("PUT", location)
    assert admin.get(location)["job_status"] == "Stopped"
    admin("PUT", location)  # again: nothing, and no second event
    assert [entry[:2] for entry in told()] == [("start", "job"), ("stop", "job")]
    assert asked(admin, PATH, {"type": "Manual"}, PARAMETERS) != location


def test_one_that_runs_is_stopped_at_its_next_step(admin: Administrator, transactional_db: None) -> None:
    location = asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    task = rows.claim("system", worker.name())
    assert task is not None
    for _ in range(2):
        admin("PUT", location)
    assert admin.get(location)["job_status"] == "Running"
    perform(task)
    assert admin.get(location)["job_status"] == "Stopped"
    assert [entry[:2] for entry in told()] == [("start", "job"), ("stop", "job")]


def test_a_run_of_another_kind_is_none_of_this_kind(admin: Administrator) -> None:
    """Who may see to one kind of jobs need not see another."""
    collection = jobs.start("GARBAGE_COLLECTION", parameters={})
    for method, path in (("GET", ""), ("PUT", ""), ("GET", "/log")):
        admin(method, f"{PATH}/{collection.pk}{path}", status=404)
    admin("GET", f"{GC}/{collection.pk}")
    assert admin.get(PATH) == []


# By schedule.


def test_no_schedule_is_an_empty_answer(admin: Administrator) -> None:
    answer = admin("GET", f"{PATH}/schedule")
    assert answer.content == b""


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ({"type": "Daily", "cron": "0 0 0 * * *"}, ("Daily", "0 0 0 * * *", "UTC")),
        ({"type": "Hourly"}, ("Hourly", "0 0 * * * *", "UTC")),
        ({"type": "Weekly", "cron": ""}, ("Weekly", "0 0 0 * * 0", "UTC")),
        ({"type": "Custom", "cron": "0 30 4 * * 1-5"}, ("Custom", "0 30 4 * * 1-5", "UTC")),
        ({"type": "Schedule", "cron": "0 30 4 * * *"}, ("Custom", "0 30 4 * * *", "UTC")),
        ({"type": "Custom", "cron": "0 30 4 * * *", "time_zone": "Europe/Berlin"},
         ("Custom", "0 30 4 * * *", "Europe/Berlin")),
        ({"type": "Daily", "cron": None, "next_scheduled_time": "0001-01-01T00:00:00Z"},
         ("Daily", "0 0 0 * * *", "UTC")),
    ],
)  # fmt: skip
def test_a_schedule_is_kept(admin: Administrator, times: object, kept: tuple[str, str, str]) -> None:
    assert asked(admin, PATH, times, PARAMETERS) == f"{PATH}/schedule"
    schedule = Schedule.objects.get()
    assert (schedule.type, schedule.cron, schedule.time_zone) == kept
    assert schedule.parameters == PARAMETERS
    shown = admin("GET", f"{PATH}/schedule").json()
    assert (shown["schedule"]["type"], shown["schedule"]["cron"], shown["schedule"]["time_zone"]) == kept
    assert json.loads(shown["job_parameters"]) == PARAMETERS
    assert shown["schedule"]["next_scheduled_time"][:4] >= "2026"
    assert told() == [("update", "schedule", "PURGE_AUDIT_LOG")]


def test_another_schedule_takes_its_place_and_none_takes_it_away(admin: Administrator) -> None:
    asked(admin, PATH, {"type": "Daily"}, PARAMETERS)
    changed = {"schedule": {"type": "Weekly"}, "parameters": {**PARAMETERS, "audit_retention_hour": 48}}
    admin("PUT", f"{PATH}/schedule", changed)
    assert [(row.type, row.parameters["audit_retention_hour"]) for row in Schedule.objects.all()] == [("Weekly", 48)]
    for parameters in ({"parameters": {}}, {}):
        admin("PUT", f"{PATH}/schedule", {"schedule": {"type": "None"}, **parameters})
    assert not Schedule.objects.exists()
    assert [entry[0] for entry in told()] == ["update", "update", "delete"]


# Refused.


@pytest.mark.parametrize(
    ("times", "word"),
    [
        (None, "schedule"),
        ({}, "schedule.type"),
        ({"type": "Yearly"}, "schedule.type"),
        ({"type": "daily"}, "schedule.type"),
        ({"type": "Custom"}, "cron"),
        ({"type": "Custom", "cron": "* * *"}, "cron"),
        ({"type": "Custom", "cron": "0 0 0 31 2 *"}, "cron"),
        ({"type": "Custom", "cron": "0 61 * * * *"}, "cron"),
        ({"type": "Daily", "cron": "soon"}, "cron"),
        ({"type": "Custom", "cron": 7}, "schedule.cron"),
        ({"type": "Daily", "time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"type": "Daily", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"type": "Daily", "time_zone": ""}, "time_zone"),
    ],
)
def test_times_that_are_none_are_refused_by_name(admin: Administrator, times: object, word: str) -> None:
    assert word in admin.refused("POST", f"{PATH}/schedule", body_of(times, PARAMETERS))
    assert not Schedule.objects.exists()
    assert told() == []


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        (None, "parameters"),
        ({}, "audit_retention_hour"),
        ({"audit_retention_hour": 24}, "include_event_types"),
        ({"audit_retention_hour": 0, "include_event_types": "other"}, "audit_retention_hour"),
        ({"audit_retention_hour": -1, "include_event_types": "other"}, "audit_retention_hour"),
        ({"audit_retention_hour": 240_001, "include_event_types": "other"}, "audit_retention_hour"),
        ({"audit_retention_hour": "24", "include_event_types": "other"}, "audit_retention_hour"),
        ({"audit_retention_hour": 24, "include_event_types": "everything"}, "include_event_types"),
        ({"audit_retention_hour": 24, "include_operations": "push"}, "include_operations"),
        ({**PARAMETERS, "dry_run": "true"}, "dry_run"),
        ({**PARAMETERS, "dryrun": True}, "dryrun"),
        ([], "parameters"),
    ],
)
def test_parameters_that_are_none_are_refused_by_name(admin: Administrator, parameters: object, word: str) -> None:
    """Also one that is misspelt: `dryrun` passed over would remove what was only to be counted."""
    for kind in ("Manual", "Daily"):
        assert word in admin.refused("POST", f"{PATH}/schedule", body_of({"type": kind}, parameters))
    assert not Schedule.objects.exists()
    assert not Execution.objects.exists()


# Lists.


def test_runs_are_listed_by_what_is_asked(admin: Administrator, transactional_db: None) -> None:
    for _ in range(3):
        asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
        run_jobs()
    asked(admin, PATH, {"type": "Manual"}, PARAMETERS)
    first, *_, last = sorted(Execution.objects.values_list("pk", flat=True))
    answer = admin("GET", f"{PATH}?page_size=2")
    assert [run["id"] for run in answer.json()] == [last, last - 1]
    assert answer["X-Total-Count"] == "4"
    assert [run["id"] for run in admin("GET", f"{PATH}?q=job_status%3DPending").json()] == [last]
    assert admin("GET", f"{PATH}?sort=creation_time").json()[0]["id"] == first
    assert admin("GET", f"{PATH}?q=trigger%3DSCHEDULE").json() == []
    assert "parameters" in admin("GET", f"{PATH}?q=parameters%3Dx", status=400).json()["errors"][0]["message"]


# Garbage collection: what is its own.


def test_collection_by_hand(admin: Administrator) -> None:
    location = asked(admin, GC, {"type": "Manual"}, {"dry_run": True, "delete_untagged": True, "workers": 3})
    execution = Execution.objects.get()
    assert location == f"{GC}/{execution.pk}"
    assert execution.kind == "GARBAGE_COLLECTION"
    assert execution.parameters == {"dry_run": True, "delete_untagged": True, "workers": 3}


@pytest.mark.parametrize("parameters", [None, {}])
def test_collection_has_defaults(admin: Administrator, parameters: object) -> None:
    asked(admin, GC, {"type": "Daily"}, parameters)
    assert Schedule.objects.get().parameters == {"dry_run": False, "delete_untagged": False, "workers": 1}


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": 11}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"workers": "2"}, "workers"),
        ({"delete_untagged": "yes"}, "delete_untagged"),
        ({"delete_tagged": True}, "delete_tagged"),
    ],
)
def test_collections_parameters_are_refused_by_name(admin: Administrator, parameters: object, word: str) -> None:
    assert word in admin.refused("POST", f"{GC}/schedule", body_of({"type": "Manual"}, parameters))
    assert not Execution.objects.exists()


def test_what_was_collected_stands_among_the_parameters(admin: Administrator) -> None:
    """Where Harbor's console reads it."""
    execution = jobs.start("GARBAGE_COLLECTION", parameters={"dry_run": False, "workers": 1})
    result = {"freed_bytes": 4096, "blobs": 3, "manifests": 1, "links": 4}
    Execution.objects.filter(pk=execution.pk).update(result=result)
    shown = admin("GET", f"{GC}/{execution.pk}").json()
    parameters = json.loads(shown["job_parameters"])
    assert (parameters["freed_space"], parameters["purged_blobs"], parameters["purged_manifests"]) == (4096, 3, 1)
    assert shown["result"] == result

"""harborapi, the Python client for Harbor, works here as it is, its checks of every answer switched on."""

import asyncio
import functools
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from harborapi import HarborAsyncClient
from harborapi.exceptions import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, Unauthorized
from harborapi.models import (
    Access,
    Configurations,
    ImmutableRule,
    ImmutableSelector,
    Label,
    ProjectMember,
    ProjectMetadata,
    ProjectReq,
    QuotaUpdateReq,
    Registry,
    RegistryCredential,
    RegistryPing,
    RegistryUpdate,
    Repository,
    ResourceList,
    RetentionPolicy,
    RobotCreate,
    RobotPermission,
    Schedule,
    ScheduleObj,
    Tag,
    Type,
    UserCreationReq,
    UserEntity,
    UserGroup,
    UserProfile,
)

from tests.factories import PASSWORD, Account, World, fresh
from tests.images import Image
from tests.product import PATIENCE
from tests.rest.scene import SIGNATURE, push_history, retention_body, retention_rule

Journey = Callable[[World, HarborAsyncClient], Awaitable[None]]


def client_of(world: World, account: Account) -> HarborAsyncClient:
    return HarborAsyncClient(f"{world.url}/api/v2.0", account.login, account.secret, validate=True, retry=None)


def journey(walk: Journey) -> Callable[[World], None]:
    """A test that walks with a client of the administrator's."""

    async def run(world: World) -> None:
        client = client_of(world, world.admin_account)
        try:
            await walk(world, client)
        finally:
            await client.client.aclose()

    def test(world: World) -> None:
        asyncio.run(run(world))

    functools.update_wrapper(test, walk, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())
    del test.__wrapped__  # type: ignore[attr-defined]  # pytest would take its arguments for fixtures
    return test


async def new_project(client: HarborAsyncClient, **further: object) -> str:
    name = fresh("project")
    metadata = ProjectMetadata(public="false")
    await client.create_project(ProjectReq(project_name=name, metadata=metadata, **further))
    return name


def pushed(world: World, project: str, tag: str | None = "v1") -> Image:
    """In a repository whose name has slashes."""
    return push_history(world.admin(), f"{project}/some/deep/{fresh('repo')}", tag)


def path_of(image: Image) -> tuple[str, str, str]:
    project, _, repository = image.repository.partition("/")
    return project, repository, image.digest


@journey
async def test_who_am_i(world: World, client: HarborAsyncClient) -> None:
    me = await client.get_current_user()
    assert (me.username, me.sysadmin_flag) == ("admin", True)
    wrong = client_of(world, Account("admin", "wrong"))
    with pytest.raises(Unauthorized):
        await wrong.get_current_user()
    await wrong.client.aclose()


@journey
async def test_project_from_its_making_to_its_end(world: World, client: HarborAsyncClient) -> None:
    name = fresh("project")
    assert not await client.project_exists(name)
    made = await client.create_project(
        ProjectReq(project_name=name, metadata=ProjectMetadata(public="true"), storage_limit=1 << 30)
    )
    assert made == f"/api/v2.0/projects/{name}"
    assert await client.project_exists(name)
    project = await client.get_project(name)
    assert project.project_id is not None
    assert await client.get_project(project.project_id) == project
    assert (project.name, project.repo_count) == (name, 0)
    assert project.metadata is not None
    assert project.metadata.public == "true"
    with pytest.raises(Conflict):
        await client.create_project(ProjectReq(project_name=name))
    await client.update_project(name, ProjectReq(metadata=ProjectMetadata(public="false", auto_scan="true")))
    changed = await client.get_project(name)
    assert changed.metadata is not None
    assert (changed.metadata.public, changed.metadata.auto_scan) == ("false", "true")
    summary = await client.get_project_summary(name)
    assert summary.quota is not None
    assert summary.quota.hard == ResourceList(storage=1 << 30)
    image = pushed(world, name)
    undeletable = await client.get_project_deletable(name)
    assert undeletable.deletable is False
    with pytest.raises(PreconditionFailed):
        await client.delete_project(name)
    await client.delete_repository(*path_of(image)[:2])
    assert (await client.get_project_deletable(name)).deletable is True
    await client.delete_project(name)
    with pytest.raises(NotFound):
        await client.get_project(name)


@journey
async def test_projects_page_by_page(world: World, client: HarborAsyncClient) -> None:
    """It follows Link, and so gets all of more than two pages."""
    word = fresh("page")
    names = {f"{word}-{number:02}" for number in range(27)}
    for name in names:
        await client.create_project(ProjectReq(project_name=name))
    listed = await client.get_projects(query=f"name=~{word}", sort="-name")
    assert [project.name for project in listed] == sorted(names, reverse=True)
    assert len(await client.get_projects(name=word, limit=12)) == 12
    assert len(await client.get_projects(query=f"name=~{word}", page=2, page_size=20)) == 7
    assert len(await client.get_projects(name=word, public=False)) == 27
    assert await client.get_projects(name=word, public=True) == []
    with pytest.raises(BadRequest):
        await client.get_projects(query="password=~x")


@journey
async def test_metadata(world: World, client: HarborAsyncClient) -> None:
    name = await new_project(client)
    await client.set_project_metadata(name, ProjectMetadata(auto_scan="true"))
    assert (await client.get_project_metadata(name)).auto_scan == "true"
    await client.update_project_metadata_entry(name, "auto_scan", {"auto_scan": "false"})
    assert await client.get_project_metadata_entry(name, "auto_scan") == {"auto_scan": "false"}
    await client.delete_project_metadata_entry(name, "auto_scan")
    assert await client.get_project_metadata_entry(name, "auto_scan") == {}


@journey
async def test_members(world: World, client: HarborAsyncClient) -> None:
    name, account = await new_project(client), world.user()
    await client.add_project_member(name, ProjectMember(role_id=2, member_user=UserEntity(username=account.login)))
    users = await client.get_users(query=f"username={account.login}")
    with pytest.raises(Conflict):
        await client.add_project_member_user(name, users[0].user_id or 0, 3)
    await client.create_usergroup(UserGroup(group_name=fresh("group"), group_type=2))
    group = (await client.get_usergroups())[-1]
    await client.add_project_member(
        name, ProjectMember(role_id=3, member_group=UserGroup(id=group.id, group_name=group.group_name, group_type=2))
    )
    members = {member.entity_name: member for member in await client.get_project_members(name)}
    assert set(members) == {"admin", account.login, group.group_name}
    found = await client.get_project_members(name, entity_name=account.login)
    assert [(member.role_name, member.entity_type) for member in found] == [("developer", "u")]
    member = found[0]
    await client.update_project_member_role(name, member.id or 0, 4)
    assert (await client.get_project_member(name, member.id or 0)).role_name == "maintainer"
    await client.remove_project_member(name, member.id or 0)
    with pytest.raises(NotFound):
        await client.get_project_member(name, member.id or 0)


@journey
async def test_robot_from_its_making_to_its_end(world: World, client: HarborAsyncClient) -> None:
    """It pushes with the secret it is told once, with the next one, and not any more."""
    name = await new_project(client)
    access = [Access(resource="repository", action=action) for action in ("push", "pull")]
    robot = await client.create_robot(
        RobotCreate(
            name="builder",
            description="builds",
            duration=-1,
            level="project",
            permissions=[RobotPermission(kind="project", namespace=name, access=access)],
        )
    )
    assert robot.name == f"robot${name}+builder"
    assert robot.id is not None
    repository = world.repository(name)
    first = world.client(Account(robot.name, robot.secret or ""))
    image = push_history(first, repository, "v1")
    refreshed = await client.refresh_robot_secret(robot.id, "")
    assert refreshed.secret not in ("", None, robot.secret)
    assert first.token("repository:x:pull").status == 401
    second = world.client(Account(robot.name, refreshed.secret or ""))
    second.pull(repository, image.digest)
    shown = await client.get_robot(robot.id)
    assert shown.secret is None
    assert shown.permissions is not None
    shown.disable = True
    await client.update_robot(robot.id, shown)
    assert second.token("repository:x:pull").status == 401
    project = await client.get_project(name)
    listed = await client.get_robots(query=f"Level=project,ProjectID={project.project_id}")
    assert [entry.id for entry in listed] == [robot.id]
    await client.delete_robot(robot.id)
    with pytest.raises(NotFound):
        await client.get_robot(robot.id)


@journey
async def test_labels_on_artifacts(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    project_id = (await client.get_project(project)).project_id
    image = pushed(world, project)
    name = fresh("label")
    location = await client.create_label(Label(name=name, scope="p", project_id=project_id, color="#00ff00"))
    label_id = int(location.rpartition("/")[2])
    assert (await client.get_label(label_id)).name == name
    await client.add_artifact_label(*path_of(image), Label(id=label_id))
    artifact = await client.get_artifact(*path_of(image), with_label=True)
    assert [label.id for label in artifact.labels or ()] == [label_id]
    await client.update_label(label_id, Label(name=name + "-new", color="#0000ff"))
    labels = await client.get_labels(scope="p", project_id=project_id)
    assert [label.name for label in labels] == [name + "-new"]
    await client.delete_artifact_label(*path_of(image), label_id)
    artifact = await client.get_artifact(*path_of(image), with_label=True)
    assert not artifact.labels
    await client.delete_label(label_id)
    with pytest.raises(NotFound):
        await client.get_label(label_id)


@journey
async def test_repositories(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    images = [pushed(world, project) for _ in range(12)]
    listed = await client.get_repositories(project)
    assert {repository.name for repository in listed} == {image.repository for image in images}
    where = path_of(images[0])[:2]
    await client.update_repository(*where, Repository(description="what it is"))
    repository = await client.get_repository(*where)
    assert (repository.name, repository.description) == (images[0].repository, "what it is")
    assert repository.artifact_count == 1
    word = images[0].repository.rpartition("/")[2]
    assert [found.name for found in await client.get_repositories(project, query=f"name=~{word}")] == [
        images[0].repository
    ]
    await client.delete_repository(*where)
    with pytest.raises(NotFound):
        await client.get_repository(*where)
    assert len(await client.get_repositories(project)) == 11


@journey
async def test_artifacts_tags_and_what_is_attached(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    image = pushed(world, project)
    where = path_of(image)
    signature = world.admin().attach(image, SIGNATURE)
    await client.create_artifact_tag(*where, Tag(name="v2"))
    with pytest.raises(Conflict):
        await client.create_artifact_tag(*where, Tag(name="v2"))
    tags = await client.get_artifact_tags(*where, with_immutable_status=True)
    assert {(tag.name, tag.immutable) for tag in tags} == {("v1", False), ("v2", False)}
    await client.delete_artifact_tag(*where, "v1")
    artifact = await client.get_artifact(
        where[0], where[1], "v2", with_accessory=True, with_immutable_status=True, with_label=True
    )
    assert (artifact.digest, artifact.type) == (image.digest, "IMAGE")
    assert artifact.size == len(image.content) + len(image.config) + sum(map(len, image.layers))
    assert [tag.name for tag in artifact.tags or ()] == ["v2"]
    assert [accessory.digest for accessory in artifact.accessories or ()] == [signature.digest]
    accessories = await client.get_artifact_accessories(*where)
    assert [accessory.subject_artifact_digest for accessory in accessories] == [image.digest]
    listed = await client.get_artifacts(where[0], where[1], with_tag=True, with_accessory=True)
    assert [found.digest for found in listed] == [image.digest]
    assert [found.digest for found in await client.get_project_artifacts(project, with_tag=True)] == [image.digest]
    history = await client.get_artifact_build_history(*where)
    assert [entry.created_by for entry in history] == ["/bin/sh -c #(nop) ADD file:a in / ", 'CMD ["sh"]']
    await client.delete_artifact(*where)
    with pytest.raises(NotFound):
        await client.get_artifact(*where)


@journey
async def test_artifacts_page_by_page(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    first = pushed(world, project)
    images = [first, *(push_history(world.admin(), first.repository, f"t{number}") for number in range(24))]
    listed = await client.get_artifacts(*path_of(first)[:2])
    assert {artifact.digest for artifact in listed} == {image.digest for image in images}
    assert len(listed) == 25


@journey
async def test_copy(world: World, client: HarborAsyncClient) -> None:
    """With what is attached, into a repository that did not exist."""
    image = pushed(world, await new_project(client))
    signature = world.admin().attach(image, SIGNATURE)
    target = await new_project(client)
    location = await client.copy_artifact(target, "copies/here", f"{image.repository}@{image.digest}")
    # harborapi has decoded the header once.
    assert location == f"/api/v2.0/projects/{target}/repositories/copies%2Fhere/artifacts/{image.digest}"
    copied = await client.get_artifact(target, "copies/here", image.digest, with_accessory=True)
    assert [accessory.digest for accessory in copied.accessories or ()] == [signature.digest]
    world.admin().pull(f"{target}/copies/here", image.digest)


@journey
async def test_retention(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    kept, gone = (push_history(world.admin(), f"{project}/app", tag) for tag in ("release-1", "nightly"))
    number = (await client.get_project(project)).project_id
    templates = {template.rule_template for template in (await client.get_retention_metadata()).templates or ()}
    assert "latestPushedK" in templates
    policy = RetentionPolicy.model_validate(retention_body(number or 0, retention_rule("always", 0, "release-*")))
    await client.create_retention_policy(policy)
    policy_id = await client.get_project_retention_id(project)
    assert policy_id is not None
    shown = await client.get_retention_policy(policy_id)
    assert [rule.template for rule in shown.rules or ()] == ["always"]
    for dry_run in (True, False):
        await client.start_retention_execution(policy_id, dry_run=dry_run)
        deadline = time.monotonic() + PATIENCE
        while (runs := await client.get_retention_executions(policy_id))[0].status in ("Pending", "Running"):
            assert time.monotonic() < deadline, runs
            await asyncio.sleep(0.1)
        assert (runs[0].status, runs[0].dry_run) == ("Success", dry_run)
        run_id = runs[0].id or 0
        tasks = await client.get_retention_tasks(policy_id, run_id)
        assert [(task.total, task.retained) for task in tasks] == [(2, 1)]
        log = await client.get_retention_execution_task_log(policy_id, run_id, tasks[0].id or 0)
        assert gone.digest in str(log)
    await client.get_artifact(*path_of(kept))
    with pytest.raises(NotFound):
        await client.get_artifact(*path_of(gone))
    await client.stop_retention_execution(policy_id, run_id)
    policy.rules = []
    await client.update_retention_policy(policy_id, policy)
    await client.delete_retention_policy(policy_id)
    with pytest.raises(NotFound):
        await client.get_retention_policy(policy_id)


@journey
async def test_immutability(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    image = pushed(world, project, "release-1")
    selector = ImmutableSelector(kind="doublestar", decoration="matches", pattern="release-*")
    everywhere = ImmutableSelector(kind="doublestar", decoration="repoMatches", pattern="**")
    await client.create_project_immutable_tag_rule(
        project,
        ImmutableRule(
            action="immutable",
            template="immutable_template",
            tag_selectors=[selector],
            scope_selectors={"repository": [everywhere]},
        ),
    )
    tags = await client.get_artifact_tags(*path_of(image), with_immutable_status=True)
    assert [tag.immutable for tag in tags] == [True]
    with pytest.raises(PreconditionFailed):
        await client.delete_artifact_tag(*path_of(image), "release-1")
    with pytest.raises(PreconditionFailed):
        await client.delete_artifact(*path_of(image))
    rules = await client.get_project_immutable_tag_rules(project)
    assert len(rules) == 1
    rule_id = rules[0].id or 0
    await client.enable_project_immutable_tagrule(project, rule_id, enabled=False)
    assert (await client.get_project_immutable_tag_rules(project))[0].disabled is True
    await client.delete_artifact_tag(*path_of(image), "release-1")
    await client.delete_project_immutable_tag_rule(project, rule_id)
    assert await client.get_project_immutable_tag_rules(project) == []


@journey
async def test_quotas(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client, storage_limit=1 << 20)
    project_id = (await client.get_project(project)).project_id
    quota = (await client.get_quotas(reference="project", reference_id=str(project_id)))[0]
    assert quota.id is not None
    assert quota.hard == ResourceList(storage=1 << 20)
    image = pushed(world, project)
    used = (await client.get_quota(quota.id)).used
    assert used is not None
    assert used.model_dump()["storage"] >= len(image.config) + sum(map(len, image.layers))
    await client.update_quota(quota.id, QuotaUpdateReq(hard=ResourceList(storage=-1)))
    assert (await client.get_quota(quota.id)).hard == ResourceList(storage=-1)


@journey
async def test_user_from_its_making_to_its_end(world: World, client: HarborAsyncClient) -> None:
    name = fresh("user")
    await client.create_user(
        UserCreationReq(username=name, email=f"{name}@example.com", realname="Some Body", password=PASSWORD)
    )
    user = await client.get_user_by_username(name)
    assert user.user_id is not None
    assert name in [found.username for found in await client.search_users_by_username(name)]
    await client.update_user(user.user_id, UserProfile(email=f"{name}@example.org", realname="Else", comment="c"))
    assert (await client.get_user(user.user_id)).email == f"{name}@example.org"
    await client.set_user_admin(user.user_id, is_admin=True)
    assert (await client.get_user(user.user_id)).sysadmin_flag is True
    await client.set_user_admin(user.user_id, is_admin=False)
    await client.set_user_password(user.user_id, "Another-horse-2")
    own = client_of(world, Account(name, "Another-horse-2"))
    assert (await own.get_current_user()).user_id == user.user_id
    assert await own.get_current_user_permissions() is not None
    with pytest.raises(Forbidden):
        await own.get_users()
    await own.client.aclose()
    await client.delete_user(user.user_id)
    with pytest.raises(NotFound):
        await client.get_user(user.user_id)


@journey
async def test_groups(world: World, client: HarborAsyncClient) -> None:
    name = fresh("group")
    location = await client.create_usergroup(UserGroup(group_name=name, group_type=2))
    group_id = int(location.rpartition("/")[2])
    assert (await client.get_usergroup(group_id)).group_name == name
    await client.update_usergroup(group_id, UserGroup(group_name=name + "-new"))
    assert [group.id for group in await client.search_usergroups(name + "-new")] == [group_id]
    await client.delete_usergroup(group_id)
    with pytest.raises(NotFound):
        await client.get_usergroup(group_id)


@journey
async def test_configuration(world: World, client: HarborAsyncClient) -> None:
    before = await client.get_config()
    assert before.robot_name_prefix is not None
    assert before.robot_name_prefix.value == "robot$"
    await client.update_config(Configurations(banner_message="soon down"))
    after = await client.get_config()
    assert after.banner_message is not None
    assert (after.banner_message.value, after.banner_message.editable) == ("soon down", True)
    await client.update_config(Configurations(banner_message=""))
    with pytest.raises(BadRequest):
        await client.update_config(Configurations(token_expiration=-5))


@journey
async def test_audit_logs(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    pushed(world, project)
    entries = await client.get_project_logs(project)
    assert {("create", "project"), ("create", "artifact")} <= {
        (entry.operation, entry.resource_type) for entry in entries
    }
    everywhere = await client.get_audit_logs(query="username=admin", sort="-op_time", limit=15)
    assert everywhere
    assert {entry.username for entry in everywhere} == {"admin"}


@journey
async def test_statistics_search_and_permissions(world: World, client: HarborAsyncClient) -> None:
    project = await new_project(client)
    image = pushed(world, project)
    statistics = await client.get_statistics()
    assert statistics.total_project_count == (statistics.private_project_count or 0) + (
        statistics.public_project_count or 0
    )
    found = await client.search(project)
    assert [entry.name for entry in found.project or ()] == [project]
    assert [entry.repository_name for entry in found.repository or ()] == [image.repository]
    permissions = await client.get_permissions()
    assert Access(resource="repository", action="push").model_dump(include={"resource", "action"}) in [
        permission.model_dump() for permission in permissions.project or ()
    ]


@journey
async def test_facts_of_the_system(world: World, client: HarborAsyncClient) -> None:
    assert await client.ping() == "Pong"
    deadline = time.monotonic() + PATIENCE
    while (health := await client.health_check()).status != "healthy" and time.monotonic() < deadline:
        await asyncio.sleep(0.2)  # workers come up after the server
    assert health.status == "healthy", health
    information = await client.get_system_info()
    assert information.auth_mode == "db_auth"
    volumes = await client.get_system_volume_info()
    assert volumes.storage
    assert all((volume.total or 0) >= (volume.free or 0) > 0 for volume in volumes.storage)


@journey
async def test_robots_secret_in_a_credentials_file(world: World, client: HarborAsyncClient) -> None:
    """harborapi keeps a robot's name and secret in a file and signs in with it."""
    project = await new_project(client)
    access = [Access(resource="repository", action="list"), Access(resource="project", action="read")]
    permission = RobotPermission(kind="project", namespace=project, access=access)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "robot.json")
        request = RobotCreate(name=fresh("reader"), duration=1, level="system", permissions=[permission])
        await client.create_robot(request, path=file)
        robot = HarborAsyncClient(f"{world.url}/api/v2.0", credentials_file=file, retry=None)
    assert (await robot.get_project(project)).name == project
    assert await robot.get_repositories(project) == []
    with pytest.raises(PreconditionFailed):
        await robot.get_current_user()
    await robot.client.aclose()


@journey
async def test_garbage_collection_by_schedule_and_by_hand(world: World, client: HarborAsyncClient) -> None:
    times = ScheduleObj(type=Type.custom, cron="0 15 3 * * 6")
    location = await client.create_gc_schedule(Schedule(schedule=times, parameters={"delete_untagged": True}))
    assert location == "/api/v2.0/system/gc/schedule"
    scheduled = await client.get_gc_schedule()
    assert scheduled.schedule is not None
    assert (scheduled.schedule.type, scheduled.schedule.cron) == (Type.custom, "0 15 3 * * 6")
    await client.update_gc_schedule(Schedule(schedule=ScheduleObj(type=Type.none)))
    now = Schedule(schedule=ScheduleObj(type=Type.manual), parameters={"dry_run": True, "workers": 2})
    number = int((await client.create_gc_schedule(now)).rpartition("/")[2])
    while (job := await client.get_gc_job(number)).job_status not in ("Success", "Error", "Stopped"):
        await asyncio.sleep(0.1)
    assert (job.id, job.job_name, job.job_kind, job.job_status) == (number, "GARBAGE_COLLECTION", "MANUAL", "Success")
    assert json.loads(job.job_parameters or "")["dry_run"] is True
    assert number in [past.id for past in await client.get_gc_jobs(query="job_status=Success", sort="-creation_time")]
    assert await client.get_gc_log(number)
    with pytest.raises(NotFound):
        await client.get_gc_job(number + 10**6)


@journey
async def test_purge_of_the_audit_log(world: World, client: HarborAsyncClient) -> None:
    await client.update_purge_job_schedule(Schedule(schedule=ScheduleObj(type=Type.none)))
    assert (await client.get_purge_job_schedule()).id is None
    wanted = {"audit_retention_hour": 10_000, "include_event_types": "pull_artifact", "dry_run": True}
    daily = Schedule(schedule=ScheduleObj(type=Type.daily, cron="0 0 0 * * *"), parameters=wanted)
    assert await client.create_purge_job_schedule(daily) == "/api/v2.0/system/purgeaudit/schedule"
    scheduled = await client.get_purge_job_schedule()
    assert json.loads(scheduled.job_parameters or "") == wanted
    await client.update_purge_job_schedule(Schedule(schedule=ScheduleObj(type=Type.none)))
    now = Schedule(schedule=ScheduleObj(type=Type.manual), parameters=wanted)
    number = int((await client.create_purge_job_schedule(now)).rpartition("/")[2])
    while (job := await client.get_purge_job(number)).job_status not in ("Success", "Error", "Stopped"):
        await asyncio.sleep(0.1)
    assert (job.job_name, job.job_status) == ("PURGE_AUDIT_LOG", "Success")
    assert number in [past.id for past in await client.get_purge_job_history()]
    assert "pull_artifact" in await client.get_purge_job_log(number)
    await client.stop_purge_job(number)
    assert (await client.get_purge_job(number)).job_status == "Success"
    with pytest.raises(BadRequest):
        await client.create_purge_job_schedule(Schedule(schedule=ScheduleObj(type=Type.manual)))


@journey
async def test_registries(world: World, client: HarborAsyncClient) -> None:
    """The other registry is this one, where somebody has an account."""
    account, name = world.user(), fresh("registry")
    credential = RegistryCredential(type="basic", access_key=account.login, access_secret=account.secret)
    location = await client.create_registry(Registry(name=name, type="harbor", url=world.url, credential=credential))
    number = int(location.rpartition("/")[2])
    shown = await client.get_registry(number)
    assert (shown.name, shown.type, shown.url, shown.status) == (name, "harbor", world.url, "healthy")
    assert shown.credential is not None
    assert (shown.credential.access_key, shown.credential.access_secret) == (account.login, "*****")
    assert [found.id for found in await client.get_registries(query=f"name={name}")] == [number]
    assert [found.id for found in await client.get_registries(name=name[:-1])] == [number]
    # What was read is written back: the secret stays what it was.
    shown.description = "changed"
    await client.update_registry(
        number, RegistryUpdate(description="changed", access_key=account.login, access_secret="*****")
    )
    await client.check_registry_status(RegistryPing(id=number))
    with pytest.raises(BadRequest):
        await client.check_registry_status(RegistryPing(id=number, access_secret="wrong"))
    with pytest.raises(BadRequest):
        await client.update_registry(number, RegistryUpdate(access_secret="wrong"))
    info = await client.get_registry_info(number)
    assert (info.type, info.supported_triggers) == ("harbor", ["manual", "scheduled", "event_based"])
    assert "docker-hub" in await client.get_registry_adapters()
    assert "docker-hub" in (await client.get_registry_providers()).root
    with pytest.raises(Conflict):
        await client.create_registry(Registry(name=name, type="harbor", url=world.url))
    await client.delete_registry(number)
    with pytest.raises(NotFound):
        await client.get_registry(number)

"""`python -m benchmarks.retention [--tags N] [--deletions N]`: a retention plan over 100,000 tags, and carrying it out.

Fills an embedded PostgreSQL, in a directory that is removed at the end, with two projects, one of N tags and one of a
tenth, each in ten repositories: images with a config and a layer of their own on a base that hundreds share, one in ten
signed and with a second tag, half of them pulled. A policy of three rules is planned for both by the job itself, in
this process: time, tags per second, the most memory, and by how much the time per tag grew. Then so many deletions are
carried out, one transaction each.
"""

import argparse
import contextlib
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retention.models import Plan
    from system.models import Execution

REPOSITORIES = 10
GROWTH = 1.5  # the most we accept, of the time per tag from a tenth of the size to all of it

# One repository of `count` images, whose numbers begin at `first`. Own blobs have the size 1000, bases 50,000.
_FILL = """
    WITH image AS (
        INSERT INTO registry_manifest (repository_id, project_id, digest, media_type, annotations, size, content, type,
            config_media_type, artifact_size, extra_attrs, accessory_type, is_listed, pushed_at, pulled_at)
        SELECT %(repository)s, %(project)s, 'sha256:' || encode(sha256(('m' || n)::bytea), 'hex'),
            'application/vnd.oci.image.manifest.v1+json', '{}', 500, '{}', 'IMAGE', '', 52500, '{}',
            'subject.accessory', true, now() - (n - %(first)s) * interval '1 hour',
            CASE WHEN n %% 2 = 0 THEN now() - (n %% 100) * interval '1 day' END
        FROM generate_series(%(first)s, %(first)s + %(count)s - 1) AS n
        RETURNING id, digest, pushed_at
    ), tag AS (
        INSERT INTO registry_tag (repository_id, name, manifest_id, moved_at)
        SELECT %(repository)s, kind || id, id, pushed_at
        FROM image, unnest(CASE WHEN id %% 10 = 0 THEN array['build-', 'v'] ELSE array['build-'] END) AS kind
    ), signature AS (
        INSERT INTO registry_manifest (repository_id, project_id, digest, media_type, annotations, size, content, type,
            config_media_type, artifact_size, extra_attrs, accessory_type, is_listed, accessory_of, subject_digest)
        SELECT %(repository)s, %(project)s, 'sha256:' || encode(sha256(('s' || id)::bytea), 'hex'),
            'application/vnd.oci.image.manifest.v1+json', '{}', 500, '{}', 'SIGNATURE', '', 500, '{}',
            'signature.cosign', false, digest, digest
        FROM image WHERE id %% 10 = 0
    ), blob AS (
        INSERT INTO registry_blob (digest, size, storage_key)
        SELECT 'sha256:' || md5(kind || id) || md5(id::text), 1000, md5(kind || id)
        FROM image, unnest(array['config', 'layer']) AS kind
        UNION ALL
        SELECT 'sha256:' || md5('base' || n) || md5(n::text), 50000, md5('base' || n)
        FROM generate_series(%(first)s, %(first)s + %(count)s - 1, 200) AS n
        RETURNING id, digest, size, storage_key
    ), holding AS (
        INSERT INTO registry_projectblob (project_id, blob_id, size) SELECT %(project)s, id, size FROM blob
        RETURNING id, blob_id
    ), link AS (
        INSERT INTO registry_repositoryblob (repository_id, blob_id, holding_id, leased_until)
        SELECT %(repository)s, blob_id, id, now() FROM holding RETURNING id, blob_id
    ), base AS (
        SELECT link.id, blob.digest, row_number() OVER () - 1 AS n, count(*) OVER () AS count
        FROM link JOIN blob ON blob.id = link.blob_id WHERE blob.size = 50000
    ), part AS (
        SELECT image.id, kind, position, blob.digest, blob.size, link.id AS link
        FROM image
        CROSS JOIN LATERAL (VALUES ('config', 0), ('layer', 1)) AS given (kind, position)
        JOIN blob ON blob.storage_key = md5(kind || image.id)
        JOIN link ON link.blob_id = blob.id
        UNION ALL
        SELECT image.id, 'layer', 2, base.digest, 50000, base.id FROM image JOIN base ON base.n = image.id %% base.count
    )
    INSERT INTO registry_manifestreference (manifest_id, kind, position, digest, media_type, size, link_id, shown)
    SELECT id, kind, position, digest, '', size, link, '{}' FROM part
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--tags", type=int, default=100_000)
    parser.add_argument("--deletions", type=int, default=1_000)
    options = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="harborlite-retention-")).absolute()
    os.environ.update(HARBORLITE_DATA=str(data), DJANGO_SETTINGS_MODULE="harborlite.settings")
    try:
        with _database(data):
            runs = [_planned(name, count) for name, count in (("tenth", options.tags // 10), ("whole", options.tags))]
            _carried_out(options.deletions)
    finally:
        shutil.rmtree(data)
    growth = runs[1] / runs[0]
    print(f"time per tag grew by {growth:.2f} (at most {GROWTH})")
    return 0 if growth <= GROWTH else 1


@contextlib.contextmanager
def _database(data: Path) -> Iterator[None]:
    import django

    from harborlite.embedded import Postgres

    server = Postgres(data, {"max_wal_size": "4GB"})
    server.start()
    try:
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield
    finally:
        server.stop()


def _planned(name: str, tags: int) -> float:
    """Seconds per tag."""
    from retention.services.policies import retention_start

    project, policy = _filled(name, tags)
    execution = retention_start(policy=policy, project=project, is_dry=True)
    started = time.perf_counter()
    _work(execution)
    spent = time.perf_counter() - started
    result = _plan(execution)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{tags:,} tags, {result.total:,} artifacts in {REPOSITORIES} repositories: planned in {spent:.1f} s,"
        f" {tags / spent:,.0f} tags/s; {result.going:,} would go with {result.freed_bytes:,} bytes; {memory:,} MiB"
    )
    return spent / tags


def _carried_out(deletions: int) -> None:
    from projects.models import Project
    from retention.models import PlannedArtifact, Policy
    from retention.services.policies import retention_start

    project = Project.objects.get(name="tenth")
    policy = Policy.objects.get(project_id=project.pk)
    plan = _plan_of(policy)
    going = PlannedArtifact.objects.filter(plan=plan, is_kept=False).order_by("pk")
    going.filter(pk__gt=going[min(deletions, going.count()) - 1].pk).delete()
    execution = retention_start(policy=policy, project=project, is_dry=False, plan=plan)
    started = time.perf_counter()
    _work(execution)
    spent = time.perf_counter() - started
    execution.refresh_from_db()
    print(f"{execution.result['deleted']:,} artifacts deleted in {spent:.1f} s: {deletions / spent:,.0f}/s")


def _filled(name: str, tags: int) -> tuple[Any, Any]:
    from django.db import connection

    from harborlite.actors import OPERATOR
    from projects.services.projects import project_create
    from registry.models import Repository
    from registry.services.repositories import repository_ensure
    from retention.services.policies import policy_create

    project = project_create(name=name, owner=OPERATOR)
    images = tags * 10 // 11 // REPOSITORIES
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for number in range(REPOSITORIES):
            repository = repository_ensure(project=project, path=f"deep/repository-{number}")
            first = project.pk * 10**7 + number * images
            cursor.execute(_FILL, {"repository": repository, "project": project.pk, "first": first, "count": images})
            Repository.objects.filter(pk=repository).update(artifact_count=images)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SET statement_timeout = '15s'")
    policy = policy_create(
        project=project,
        rules=[
            _rule(1, "always", 0, "v*[05]", untagged=False),
            _rule(2, "latestPushedK", images // 20, "**"),
            _rule(3, "nDaysSinceLastPull", 7, "build-*"),
        ],
        may_empty=False,
    )
    return project, policy


def _rule(number: int, template: str, count: int, pattern: str, *, untagged: bool = True) -> dict[str, Any]:
    extras = '{"untagged":true}' if untagged else '{"untagged":false}'
    return {
        "id": number,
        "priority": 0,
        "disabled": False,
        "action": "retain",
        "template": template,
        "params": {template: count} if count else {},
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern, "extras": extras}],
        "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
    }


def _work(execution: "Execution") -> None:
    """All tasks are done, as a worker does them."""
    from system.jobs import rows, worker
    from system.jobs.run import perform

    while (task := rows.claim("retention", worker.name())) is not None:
        perform(task)
    execution.refresh_from_db()
    assert execution.status == "Success", execution.status_message


def _plan(execution: "Execution") -> "Plan":
    from retention.queries import plan_of

    plan = plan_of(execution)
    assert plan is not None
    return plan


def _plan_of(policy: Any) -> "Plan":
    from retention.models import Plan

    return Plan.objects.filter(policy_id=policy.pk).latest("pk")


if __name__ == "__main__":
    sys.exit(main())

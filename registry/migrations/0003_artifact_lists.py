"""What lists of artifacts are taken from: columns that follow from manifests' bytes, tags and references; indexes."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from registry.oci import config, manifest

BATCH = 500

LISTED = """
    UPDATE registry_manifest AS manifest SET
        accessory_of = subject.digest,
        is_listed = subject.digest IS NULL AND (
            EXISTS (SELECT FROM registry_tag AS tag WHERE tag.manifest_id = manifest.id)
            OR NOT EXISTS (SELECT FROM registry_manifestreference AS parent WHERE parent.child_id = manifest.id)
        )
    FROM (
        SELECT found.id, coalesce(
            found.subject_digest,
            (
                SELECT nullif('sha256:' || substr(min(tag.name), 8, 64), found.digest) FROM registry_tag AS tag
                WHERE tag.manifest_id = found.id AND tag.name ~ '^sha256-[0-9a-f]{64}[.](sig|att|sbom)$'
            )
        )
        FROM registry_manifest AS found
    ) AS subject (id, digest)
    WHERE subject.id = manifest.id;

    UPDATE registry_repository AS repository SET artifact_count = (
        SELECT count(*) FROM registry_manifest WHERE repository_id = repository.id AND is_listed
    );
"""


def describe(apps, _schema_editor):
    """As services.manifests does it at a push; only what configs say stays unknown of artifacts from before."""
    manifests, references = (apps.get_model("registry", name) for name in ("Manifest", "ManifestReference"))
    for row in manifests.objects.order_by("pk").iterator(BATCH):  # a child comes before the index that lists it
        parsed = manifest.parse(bytes(row.content), row.media_type)
        kind = config.kind_of(parsed)
        children = {str(child.digest): child for child in parsed.children}
        held = list(references.objects.filter(manifest=row, kind="child").select_related("child"))
        parts = [*((parsed.config,) if parsed.config else ()), *parsed.layers]
        size = row.size + sum(part.size for part in parts) + sum(one.child.artifact_size for one in held)
        manifests.objects.filter(pk=row.pk).update(
            type=kind.type,
            config_media_type=kind.media_type,
            accessory_type=config.accessory_type_of(parsed),
            artifact_size=min(size, manifest.MAX_BLOB),
        )
        for reference in held:
            child = children[reference.digest]
            told = {"platform": child.platform, "annotations": child.annotations, "urls": list(child.urls)}
            reference.shown = {name: value for name, value in told.items() if value}
        references.objects.bulk_update(held, ["shown"], batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0002_labels_and_rules"),
        ("registry", "0002_artifacts_in_the_api"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="manifestreference",
            name="shown",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="manifest",
            name="accessory_type",
            field=models.CharField(default="subject.accessory", max_length=32),
        ),
        migrations.AddField(
            model_name="repository",
            name="artifact_count",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="manifest",
            name="project",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="projects.project"
            ),
        ),
        migrations.AlterField(
            model_name="manifest",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="manifests",
                to="registry.repository",
            ),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                condition=models.Q(("accessory_of__isnull", False)),
                fields=["repository", "accessory_of", "id"],
                name="manifest_accessories",
            ),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                condition=models.Q(("is_listed", True)),
                fields=["repository", "-pushed_at", "-id"],
                name="manifest_listed",
            ),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                fields=["project", "is_listed", "-pushed_at", "-id"], include=("type",), name="manifest_of_project"
            ),
        ),
        migrations.AlterField(
            model_name="tag",
            name="manifest",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="tags", to="registry.manifest"
            ),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(fields=["manifest", "name"], name="tag_of_manifest"),
        ),
        migrations.RunPython(describe, migrations.RunPython.noop),
        migrations.RunSQL(LISTED, migrations.RunSQL.noop),
        # Triggers of the rows just written are due before later migrations alter the tables again.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
    ]

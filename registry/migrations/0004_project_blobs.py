"""What repositories hold is held by their project once, and charged to its quota."""

import django.db.models.deletion
from django.db import migrations, models

LINKS = """
    INSERT INTO registry_projectblob (project_id, blob_id, size)
    SELECT DISTINCT repository.project_id, blob.id, blob.size
    FROM registry_repositoryblob AS link
    JOIN registry_repository AS repository ON repository.id = link.repository_id
    JOIN registry_blob AS blob ON blob.id = link.blob_id;

    UPDATE registry_repositoryblob AS link SET holding_id = holding.id
    FROM registry_repository AS repository, registry_projectblob AS holding
    WHERE repository.id = link.repository_id
        AND holding.project_id = repository.project_id AND holding.blob_id = link.blob_id;

    UPDATE projects_quota AS quota SET folded = held.size
    FROM (SELECT project_id, sum(size) AS size FROM registry_projectblob GROUP BY project_id) AS held
    WHERE held.project_id = quota.project_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0003_quotas"),
        ("registry", "0003_artifact_lists"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProjectBlob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("size", models.BigIntegerField()),
                (
                    "blob",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="holdings", to="registry.blob"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="projects.project"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("project", "blob"), name="projectblob_unique")],
            },
        ),
        migrations.AddField(
            model_name="repositoryblob",
            name="holding",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="links",
                to="registry.projectblob",
            ),
        ),
        migrations.RunSQL(LINKS, migrations.RunSQL.noop),
        # The foreign keys' checks of the rows just written are due before the tables can be altered again.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="repositoryblob",
            name="holding",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="links", to="registry.projectblob"
            ),
        ),
    ]

"""A quota for every project, without a limit for those there are."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0002_labels_and_rules"),
    ]

    operations = [
        migrations.CreateModel(
            name="QuotaEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("delta", models.BigIntegerField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quota_entries",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Quota",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hard", models.BigIntegerField(default=-1)),
                ("folded", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="quota", to="projects.project"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hard", -1), ("hard__gt", 0), _connector="OR"), name="quota_limit_sensible"
                    ),
                    models.CheckConstraint(condition=models.Q(("folded__gte", 0)), name="quota_never_negative"),
                ],
            },
        ),
        migrations.RunSQL(
            "INSERT INTO projects_quota (project_id, hard, folded) SELECT id, -1, 0 FROM projects_project ORDER BY id",
            migrations.RunSQL.noop,
        ),
        # The foreign keys' checks of the rows just written are due before the table can be altered again.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
    ]

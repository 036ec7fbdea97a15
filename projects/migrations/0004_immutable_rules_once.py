"""No project has the same immutable tag rule twice."""

from django.db import migrations, models
from django.db.models.functions import MD5, Cast


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0003_quotas"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="immutablerule",
            constraint=models.UniqueConstraint(
                models.F("project"),
                MD5(Cast("scope_selectors", models.TextField())),
                MD5(Cast("tag_selectors", models.TextField())),
                name="immutablerule_unique",
            ),
        ),
    ]

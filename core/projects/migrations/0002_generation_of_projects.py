"""Before deploy. Registry tokens of before carry no generation and end, so counting begins at 0."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_projects")]

    operations = [
        migrations.AddField("Project", "generation", models.BigIntegerField(default=0)),
        migrations.RemoveField("Project", "made_private_at"),
    ]

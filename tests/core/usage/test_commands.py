"""``roadstead quota``."""

import pytest
from typer.testing import CliRunner

from core.projects.models import Project
from core.quotas.models import Quota
from core.usage.commands import app
from tests.factories.artifacts import make_blob
from tests.factories.projects import make_project
from tests.factories.quotas import limit

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_projects_are_listed_with_limit_and_usage(project: Project) -> None:
    make_blob(project, b"content")
    limit(make_project("small"), 5000)
    rows = [line.strip("│ ").split("│") for line in run("list").splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["team", "7 bytes", "none"],
        ["small", "0 bytes", "5.0 kB"],
    ]


def test_a_recount_says_what_was_wrong(project: Project) -> None:
    make_blob(project, b"content")
    assert "1 projects recounted, 0 corrected." in run("reconcile")
    Quota.objects.update(used_bytes=1007)
    limit(project, 5000)
    output = " ".join(run("reconcile").split())
    assert "team: 0 contents were counted wrongly" in output
    assert "1 projects recounted, 1 corrected." in output

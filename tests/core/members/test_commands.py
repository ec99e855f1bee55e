"""``roadstead project``."""

import pytest
from typer.testing import CliRunner

from core.members.commands import app
from core.members.models import Membership
from core.projects.models import Project
from tests.factories.members import make_group, make_person
from tests.factories.projects import make_project, make_repository

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_create_show_and_delete() -> None:
    assert run("create", "team", "--public") == (
        0,
        "Created the public project team.\n",
    )
    code, output = run("list")
    assert code == 0
    assert "team" in output
    assert "public" in output
    assert run("delete", "team") == (0, "Deleted the project team.\n")
    assert not Project.objects.exists()


def test_set_visibility() -> None:
    make_project("team")
    assert run("set-visibility", "team", "public")[0] == 0
    assert Project.objects.get().is_public
    assert run("set-visibility", "team", "private")[0] == 0
    assert not Project.objects.get().is_public
    assert run("set-visibility", "team", "secret")[0] == 2


def test_add_members() -> None:
    make_project("team")
    make_person("dana")
    make_group("testers")
    assert run("add-member", "team", "--user", "dana")[0] == 0
    assert run("add-member", "team", "--group", "testers", "--role", "guest")[0] == 0
    assert set(Membership.objects.values_list("role__name", flat=True)) == {
        "developer",
        "guest",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "team"), "exists already"),
        (("create", "Team"), "lower-case"),
        (("delete", "nothing"), "no project named nothing"),
        (("delete", "team"), "repositories"),
        (("set-visibility", "nothing", "public"), "no project named nothing"),
        (("add-member", "team", "--user", "nobody"), "no user named nobody"),
        (("add-member", "team", "--group", "nobody"), "no group named nobody"),
        (("add-member", "team", "--user", "dana", "--role", "king"), "no role named king"),
    ],
)
def test_refusals_are_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    make_repository(make_project("team"))
    make_person("dana")
    code, output = run(*arguments)
    assert code == 1
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_add_member_needs_one_subject() -> None:
    assert run("add-member", "team")[0] == 2
    assert run("add-member", "team", "--user", "a", "--group", "b")[0] == 2

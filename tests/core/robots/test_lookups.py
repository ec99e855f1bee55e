"""A robot's standing: it stays the same for as long as nothing it rests on changes."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.artifacts.models import Repository
from core.common.clock import now
from core.projects.models import Project
from core.robots.lookups import (
    PROJECT_ROBOTS,
    ROBOT_VERSIONS,
    SYSTEM_ROBOTS,
    RobotQuestion,
    RobotStanding,
)
from core.robots.models import Robot
from core.system_settings import queries as system_settings
from core.users.models import Revocation
from tests.factories.artifacts import make_image
from tests.factories.lookups import ask_here, ask_together, one_transaction
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot

pytestmark = pytest.mark.django_db

OWN = RobotQuestion("team", "ci", "team", "team/app")
FOREIGN = RobotQuestion("team", "ci", "other", "other/app")
OF_THE_SYSTEM = RobotQuestion(None, "fleet", "team", "team/app")
QUESTIONS = (OWN, FOREIGN, OF_THE_SYSTEM)


@pytest.fixture(autouse=True)
def robots(db: None) -> list[Robot]:
    """A robot of the project and one of the system, and where they are asked about."""
    system_settings.current()
    project = make_project("team")
    make_repository(project, "app")
    make_repository(make_project("other"), "app")
    return [
        make_robot("ci", project=project).robot,
        make_robot("fleet", project=None, permissions={"team": ["repository:pull"]}).robot,
    ]


def standing(question: RobotQuestion) -> RobotStanding:
    return ask_here(SYSTEM_ROBOTS if question.owner is None else PROJECT_ROBOTS, question)


def holds(found: RobotStanding) -> bool:
    assert found.basis is not None
    return ask_here(ROBOT_VERSIONS, found.basis.question) == found.basis.versions


def robots_change(**members: object) -> Callable[[], object]:
    return lambda: Robot.objects.update(**members)


def projects_change(**members: object) -> Callable[[str], object]:
    return lambda name: Project.objects.filter(name=name).update(**members)


def begin_anew(name: str) -> None:
    Repository.objects.filter(name=f"{name}/app").delete()
    make_repository(Project.objects.get(name=name), "app")


def replace_project(name: str) -> None:
    """Let another project have the name, with a repository of the same name."""
    Repository.objects.filter(name=f"{name}/app").update(name="gone/app")
    Project.objects.filter(name=name).update(name="gone")
    make_repository(make_project(name), "app")


CHANGES: dict[str, Callable[[], object]] = {
    "disabled": robots_change(is_disabled=True),
    "secret": robots_change(secret_hint="none"),
    "permissions": robots_change(permissions={"*": ["repository:push"]}),
    "used": robots_change(last_used_at=now()),
    "expires": robots_change(expires_at=now() + timedelta(days=1)),
    "deleted": lambda: Robot.objects.all().delete(),
}
CHANGES_OF_PLACES: dict[str, Callable[[str], object]] = {
    "public": projects_change(is_public=True),
    "generation": projects_change(generation=7),
    "renamed": projects_change(name="renamed"),
    "replaced": replace_project,
    "repository deleted": lambda name: Repository.objects.filter(name=f"{name}/app").delete(),
    "repository made anew": begin_anew,
    "repository renamed": lambda name: Repository.objects.filter(name=f"{name}/app").update(
        name=f"{name}/renamed"
    ),
}


@pytest.mark.parametrize("question", QUESTIONS, ids=["own", "foreign", "system"])
def test_a_standing_holds_while_nothing_changes(question: RobotQuestion) -> None:
    found = standing(question)
    assert holds(found)
    assert holds(found)
    # A push and what is counted of pulls change the repository's row, and nobody's rights.
    make_image(Project.objects.get(name=question.project), "v1")
    with one_transaction():
        Repository.objects.update(pull_count=7, updated_at=now())
    assert holds(found)


@pytest.mark.parametrize("question", QUESTIONS, ids=["own", "foreign", "system"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_standing_ends_when_the_robot_changes(
    question: RobotQuestion, change: Callable[[], object]
) -> None:
    found = standing(question)
    with one_transaction():
        change()
    assert not holds(found)


@pytest.mark.parametrize("question", QUESTIONS, ids=["own", "foreign", "system"])
@pytest.mark.parametrize("change", CHANGES_OF_PLACES.values(), ids=CHANGES_OF_PLACES.keys())
def test_a_standing_ends_when_the_place_changes(
    question: RobotQuestion, change: Callable[[str], object]
) -> None:
    found = standing(question)
    with one_transaction():
        change(question.project)
    assert not holds(found)


def test_a_standing_elsewhere_ends_when_the_project_of_the_robot_is_renamed() -> None:
    found = standing(FOREIGN)
    with one_transaction():
        Project.objects.filter(name="team").update(name="renamed")
    assert not holds(found)


def test_a_standing_ends_when_the_robot_is_revoked(robots: list[Robot]) -> None:
    own, of_the_system = standing(OWN), standing(OF_THE_SYSTEM)
    subject = f"robot:{robots[0].pk}"
    Revocation.objects.create(subject=subject, generation=1, credentials_generation=0)
    assert not holds(own)
    assert holds(of_the_system)


def test_a_standing_ends_when_the_prefix_of_robots_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = standing(OWN)
    monkeypatch.setattr("core.robots.lookups._prefix", lambda: "bot$")
    assert not holds(found)


def test_nothing_holds_that_could_be_made_by_new_rows() -> None:
    assert standing(OWN._replace(name="nobody")).basis is None
    assert standing(OWN._replace(project="nowhere", repository="nowhere/app")).basis is None
    assert standing(OWN._replace(repository="team/new")).basis is None
    assert standing(RobotQuestion("team", "ci", "", "")).basis is None


def test_versions_of_many_are_those_of_each() -> None:
    bases = [basis for each in QUESTIONS if (basis := standing(each).basis) is not None]
    assert len({basis.question for basis in bases}) == 3
    missing = bases[0].question._replace(robot_id=0)
    asked = [missing, *(basis.question for basis in bases)]
    nothing, *found = ask_together(ROBOT_VERSIONS, asked)
    assert found == [basis.versions for basis in bases]
    assert nothing[0] is None

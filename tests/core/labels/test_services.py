"""Creating, changing and deleting labels, and what the database refuses by itself."""

import pytest
from django.db import IntegrityError, connection, transaction

from core.audit.models import AuditEntry
from core.labels import services
from core.labels.errors import LabelInvalid, LabelNameTaken, LabelUnknown
from core.labels.models import Label
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.services import delete_project
from core.rbac.types import Actor
from tests.factories.labels import make_label
from tests.factories.members import make_person
from tests.factories.projects import make_project
from tests.factories.users import actor_of
from tests.support.crowds import at_once


@pytest.fixture
def actor(db: None) -> Actor:
    return actor_of(make_person("alice"))


@pytest.fixture
def project(db: None) -> Project:
    return make_project("team")


def test_a_label_of_a_project_is_recorded_in_it(project: Project, actor: Actor) -> None:
    label = services.create_label("stable", project=project, color="#00ff00", actor=actor)
    services.update_label(label, name="old", description="No more", color="", actor=actor)
    # What changes nothing says nothing.
    services.update_label(label, name="old", description="No more", color="", actor=actor)
    label.refresh_from_db()
    assert (label.name, label.description, label.color) == ("old", "No more", "")
    assert label.updated_at > label.created_at
    services.delete_label(label, actor=actor)
    entries = AuditEntry.objects.order_by("id")
    assert list(entries.values_list("action", "target_label", "project_name", "actor_label")) == [
        ("labels.label.created", "stable", "team", "alice"),
        ("labels.label.updated", "old", "team", "alice"),
        ("labels.label.deleted", "old", "team", "alice"),
    ]
    assert entries[1].detail == {"description": "No more", "color": ""}


def test_names_are_unique_in_their_scope_only(project: Project, actor: Actor) -> None:
    for scope in (project, make_project("other"), None):
        label = services.create_label("stable", project=scope, actor=actor)
        with pytest.raises(LabelNameTaken, match="stable"):
            services.create_label("stable", project=scope, actor=actor)
        other = services.create_label("Stable", project=scope, actor=actor)
        with pytest.raises(LabelNameTaken):
            services.update_label(other, name="stable", description="", color="", actor=actor)
        assert Label.objects.filter(project=label.project).count() == 2


def test_refusals(project: Project, actor: Actor) -> None:
    label = make_label(project=project)
    with pytest.raises(LabelInvalid):
        services.create_label("", project=None, actor=actor)
    with pytest.raises(LabelInvalid):
        services.update_label(label, name="x", description="", color="blue", actor=actor)
    Label.objects.filter(pk=label.pk).delete()
    with pytest.raises(LabelUnknown):
        services.update_label(label, name="x", description="", color="", actor=actor)
    with pytest.raises(LabelUnknown):
        services.delete_label(label, actor=actor)
    delete_project(project, actor=actor)
    with pytest.raises(ProjectUnknown):
        services.create_label("x", project=project, actor=actor)


def test_labels_go_with_their_project(project: Project, actor: Actor) -> None:
    make_label("of the project", project=project)
    make_label("global")
    delete_project(project, actor=actor)
    assert [label.name for label in Label.objects.all()] == ["global"]


@pytest.mark.parametrize(
    "values",
    [
        {"name": "stable"},
        {"name": ""},
        {"name": "x", "color": "#12345"},
        {"name": "x", "color": "#gggggg"},
    ],
)
def test_the_database_holds_the_invariants(db: None, values: dict[str, str]) -> None:
    make_label("stable")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_label(**values)


@pytest.mark.django_db(transaction=True)
def test_creates_of_one_name_have_one_winner() -> None:
    def create(_: int) -> Label:
        return services.create_label("stable", project=None, actor=Actor.system())

    results = at_once(8, create)
    assert sum(isinstance(result, Label) for result in results) == 1
    assert sum(isinstance(result, LabelNameTaken) for result in results) == 7
    connection.close()

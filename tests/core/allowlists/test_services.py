"""Writing lists, and which of them counts in a project."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core.allowlists.models import CVEAllowlist
from core.allowlists.queries import allowed_cve_ids, effective_allowlists
from core.allowlists.services import replace_system_allowlist
from core.allowlists.types import WantedAllowlist
from core.audit.models import AuditEntry
from core.common.clock import now
from core.members.services import update_project_and_allowlist
from core.projects.errors import MetadataInvalid
from core.projects.models import Project
from core.rbac.types import Actor
from tests.factories.projects import make_project
from tests.support.crowds import at_once

SYSTEM = Actor.system()
END = datetime(2030, 1, 1, tzinfo=UTC)


def wanted(*cve_ids: str, expires_at: datetime | None = None) -> WantedAllowlist:
    return WantedAllowlist(cve_ids, expires_at)


def own(project: Project, *cve_ids: str) -> None:
    """Give the project a list of its own and let it count."""
    update_project_and_allowlist(
        project,
        metadata={"reuse_sys_cve_allowlist": "false"},
        allowlist=wanted(*cve_ids),
        actor=SYSTEM,
    )
    project.refresh_from_db()


@pytest.mark.django_db
def test_a_list_is_replaced_and_audited() -> None:
    replace_system_allowlist(wanted("CVE-2", "CVE-1"), actor=SYSTEM)
    replace_system_allowlist(wanted("CVE-1", "CVE-2"), actor=SYSTEM)
    replace_system_allowlist(wanted("CVE-3", "CVE-1", expires_at=END), actor=SYSTEM)
    row = CVEAllowlist.objects.get()
    assert (row.project, row.cve_ids, row.expires_at) == (None, ["CVE-1", "CVE-3"], END)
    details = AuditEntry.objects.order_by("id").values_list("target_label", "detail")
    assert list(details) == [
        ("system", {"added": ["CVE-1", "CVE-2"], "removed": [], "expires_at": None}),
        ("system", {"added": ["CVE-3"], "removed": ["CVE-2"], "expires_at": END.isoformat()}),
    ]


@pytest.mark.django_db
def test_entries_name_the_first_of_many() -> None:
    many = [f"CVE-{number:04}" for number in range(101)]
    replace_system_allowlist(wanted(*many), actor=SYSTEM)
    replace_system_allowlist(wanted(), actor=SYSTEM)
    added, removed = AuditEntry.objects.order_by("id").values_list("detail", flat=True)
    assert (added["added"], added["number_added"]) == (many[:100], 101)
    assert (removed["removed"], removed["number_removed"]) == (many[:100], 101)


@pytest.mark.django_db
def test_the_metadata_of_the_project_choose_the_list() -> None:
    at = now()
    projects = [make_project("a"), make_project("b"), make_project("c")]
    own(projects[1], "CVE-OWN")
    replace_system_allowlist(wanted("CVE-SYSTEM", expires_at=at + timedelta(1)), actor=SYSTEM)
    Project.objects.filter(name="c").update(metadata={"reuse_sys_cve_allowlist": "false"})
    projects[2].refresh_from_db()
    with CaptureQueriesContext(connection) as statements:
        found = effective_allowlists(projects)
    assert len(statements) == 1
    assert {key: row.cve_ids for key, row in found.items()} == {
        projects[0].pk: ["CVE-SYSTEM"],
        projects[1].pk: ["CVE-OWN"],
    }
    assert allowed_cve_ids(projects[0], at) == {"CVE-SYSTEM"}
    assert allowed_cve_ids(projects[0], at + timedelta(2)) == frozenset()
    assert allowed_cve_ids(projects[1], at + timedelta(2)) == {"CVE-OWN"}
    assert allowed_cve_ids(projects[2], at) == frozenset()


@pytest.mark.django_db
def test_a_project_and_its_list_change_together_or_not_at_all() -> None:
    project = make_project("a")
    own(project, "CVE-1")
    with pytest.raises(MetadataInvalid):
        update_project_and_allowlist(
            project, metadata={"severity": "x"}, allowlist=wanted("CVE-2"), actor=SYSTEM
        )
    assert CVEAllowlist.objects.get().cve_ids == ["CVE-1"]
    project.delete()
    assert not CVEAllowlist.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_first_writers_make_one_list() -> None:
    project = make_project("a")
    results = at_once(
        6,
        lambda number: (
            replace_system_allowlist(wanted(f"CVE-{number}"), actor=SYSTEM)
            if number % 2
            else update_project_and_allowlist(
                project, allowlist=wanted(f"CVE-{number}"), actor=SYSTEM
            )
        ),
    )
    assert all(isinstance(result, CVEAllowlist | Project) for result in results)
    assert sorted(row.project_id is None for row in CVEAllowlist.objects.all()) == [False, True]
    with pytest.raises(IntegrityError), transaction.atomic():
        CVEAllowlist.objects.create(project=None, created_at=now(), updated_at=now())

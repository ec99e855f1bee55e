"""Granting and revoking rights on one repository."""

import pytest
from guardian.shortcuts import get_perms

from core.artifacts.errors import NameUnknown
from core.artifacts.models import Repository
from core.audit.models import AuditEntry
from core.grants.errors import GrantTooWide, GrantUnknown, RightUnknown
from core.grants.queries import list_repository_grants
from core.grants.services import grant_repository, revoke_repository_grant
from core.grants.types import RepositoryGrant, RepositoryRight
from core.members.errors import SubjectUnknown
from core.rbac.types import Actor
from core.users.models import Revocation, User
from tests.factories.members import actor_of, make_group, make_member, make_person
from tests.factories.projects import make_project, make_repository

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


@pytest.fixture
def repository() -> Repository:
    return make_repository(make_project("team"))


def test_grants_are_guardians(repository: Repository) -> None:
    dana = make_person("dana")
    group = make_group("testers", dana)
    assert grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    assert grant_repository(repository, group=group, permission="push", actor=SYSTEM)
    assert set(get_perms(dana, repository)) == {"pull", "push"}
    assert list_repository_grants(repository) == [
        RepositoryGrant("user", dana.pk, "dana", RepositoryRight.PULL),
        RepositoryGrant("group", group.pk, "testers", RepositoryRight.PUSH),
    ]
    entry = AuditEntry.objects.order_by("id")[0]
    assert (entry.action, entry.target_label) == ("grants.right.granted", "team/app")
    assert entry.detail == {"right": "pull", "user": "dana"}


def test_granting_twice_changes_nothing(repository: Repository) -> None:
    dana = make_person("dana")
    assert grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    assert not grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    assert len(list_repository_grants(repository)) == 1
    assert AuditEntry.objects.count() == 1


def revoked() -> set[str]:
    """Subjects whose registry tokens ended."""
    withdrawn = Revocation.objects.filter(generation__gt=0)
    return set(withdrawn.values_list("subject", flat=True))


def test_revoking_withdraws_tokens(repository: Repository) -> None:
    dana, emil = make_person("dana"), make_person("emil")
    group = make_group("testers", emil)
    grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    grant_repository(repository, group=group, permission="pull", actor=SYSTEM)
    assert revoked() == set()
    revoke_repository_grant(repository, user=dana, permission="pull", actor=SYSTEM)
    assert revoked() == {f"user:{dana.pk}"}
    revoke_repository_grant(repository, group=group, permission="pull", actor=SYSTEM)
    assert revoked() == {f"user:{dana.pk}", f"user:{emil.pk}"}
    assert list_repository_grants(repository) == []


def test_revoking_what_is_not_held(repository: Repository) -> None:
    dana = make_person("dana")
    grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    with pytest.raises(GrantUnknown):
        revoke_repository_grant(repository, user=dana, permission="push", actor=SYSTEM)
    assert len(list_repository_grants(repository)) == 1


def test_nobody_grants_what_they_do_not_hold(repository: Repository) -> None:
    olivia, dana = make_person("olivia"), make_person("dana")
    make_member(repository.project, olivia, "developer")
    grant_repository(repository, user=dana, permission="push", actor=actor_of(olivia))
    with pytest.raises(GrantTooWide):
        grant_repository(repository, user=dana, permission="delete", actor=actor_of(olivia))
    limited = actor_of(olivia, scopes={"management:read", "management:write"})
    with pytest.raises(GrantTooWide):
        grant_repository(repository, user=dana, permission="pull", actor=limited)
    assert [grant.right for grant in list_repository_grants(repository)] == ["push"]


def test_refusals(repository: Repository) -> None:
    dana = make_person("dana")
    with pytest.raises(RightUnknown):
        grant_repository(repository, user=dana, permission="own", actor=SYSTEM)
    with pytest.raises(ValueError, match="one user or to one group"):
        grant_repository(repository, permission="pull", actor=SYSTEM)
    User.objects.filter(pk=dana.pk).delete()
    with pytest.raises(SubjectUnknown):
        grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)
    Repository.objects.all().delete()
    with pytest.raises(NameUnknown):
        grant_repository(repository, user=dana, permission="pull", actor=SYSTEM)


def test_grants_go_with_their_repository_and_their_user(repository: Repository) -> None:
    dana, emil = make_person("dana"), make_person("emil")
    other = make_repository(repository.project, "other")
    for subject in (dana, emil):
        grant_repository(repository, user=subject, permission="pull", actor=SYSTEM)
    grant_repository(other, user=emil, permission="pull", actor=SYSTEM)
    dana.delete()
    assert [grant.subject_name for grant in list_repository_grants(repository)] == ["emil"]
    repository.delete()
    assert [grant.subject_name for grant in list_repository_grants(other)] == ["emil"]

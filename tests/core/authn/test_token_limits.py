"""The projects that personal access tokens are limited to."""

from importlib import import_module

import pytest

from core.audit.models import AuditEntry
from core.authn import services
from core.authn.errors import InvalidCredentials, PersonalTokenInvalid
from core.authn.models import PersonalToken
from core.authn.services import NewPersonalToken
from core.authn.types import Credentials
from core.common.clock import now
from core.database import raw
from core.grants.services import grant_repository
from core.projects.services import delete_project
from core.rbac.types import Actor
from core.users.models import Revocation, User
from tests.factories.members import make_group, make_member, make_role
from tests.factories.projects import make_project, make_repository
from tests.factories.users import ORIGIN, actor_of, make_user

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def make_token(user: User, *projects: str) -> NewPersonalToken:
    return services.create_personal_token(
        user,
        name="-".join(projects) or "every",
        scopes=["management:read"],
        project_names=projects,
        actor=actor_of(user),
    )


def reach(made: NewPersonalToken) -> frozenset[str] | None:
    return services.authenticate(Credentials("", made.secret), origin=ORIGIN).scope_projects


def stored() -> dict[str, tuple[list[str], bool]]:
    return {
        token.name: (token.project_names, token.revoked_at is not None)
        for token in PersonalToken.objects.all()
    }


def test_a_token_is_limited_to_projects_that_its_user_may_know_of() -> None:
    people = {
        name: make_user(name, is_system_admin=name == "admin")
        for name in ("admin", "member", "grouped", "granted", "group-granted", "outsider")
    }
    secret, repository = make_project("secret"), make_repository(make_project("other"))
    make_project("open", is_public=True)
    make_member(secret, people["member"], make_role("nothing", []))
    make_member(secret, make_group("members", people["grouped"]), "guest")
    grant_repository(repository, user=people["granted"], permission="pull", actor=SYSTEM)
    granted = make_group("granted", people["group-granted"])
    grant_repository(repository, group=granted, permission="delete", actor=SYSTEM)
    known = {
        "admin": {"secret", "other"},
        "member": {"secret"},
        "grouped": {"secret"},
        "granted": {"other"},
        "group-granted": {"other"},
        "outsider": set(),
    }
    for name, user in people.items():
        for project in ("secret", "other", "missing", "NEVER"):
            if project in known[name]:
                assert reach(make_token(user, "open", project)) == {"open", project}
                continue
            with pytest.raises(PersonalTokenInvalid) as caught:
                make_token(user, "open", project)
            assert caught.value.message == f"projects: there is no project {project}."
            assert caught.value.detail == {"project": project}


def test_a_deleted_project_leaves_tokens_and_ends_those_of_it_alone() -> None:
    alice, berta = make_user(), make_user("berta")
    for name in ("rec", "mine", "records"):
        make_member(make_project(name), alice, "projectAdmin")
    gone = make_project("open", is_public=True)
    every, alone, mine = (
        make_token(alice, *names) for names in ((), ("open",), ("mine", "open", "rec"))
    )
    near, hers = make_token(alice, "mine", "records"), make_token(berta, "open")
    services.revoke_personal_token(hers.token, actor=actor_of(berta))
    before = Revocation.objects.count()
    delete_project(gone, actor=SYSTEM)
    # A later project of the name is somebody else's.
    make_member(make_project("open"), alice, "guest")
    with pytest.raises(InvalidCredentials):
        reach(alone)
    assert reach(every) is None
    assert reach(mine) == {"mine", "rec"}
    assert reach(near) == {"mine", "records"}
    assert stored()["open"] == (["open"], True)
    entries = AuditEntry.objects.filter(action="authn.personal_token.revoked")
    assert {entry.target_id for entry in entries} == {str(alone.token.pk), str(hers.token.pk)}
    assert Revocation.objects.filter(subject=actor_of(alice).subject).exists()
    assert Revocation.objects.count() == before + 1


def test_stored_limits_lose_the_names_that_no_project_has() -> None:
    user = make_user()
    make_project("a")
    make_project("b")
    limits = {
        "every": [],
        "present": ["a", "b"],
        "some": ["b", "gone", "a"],
        "none": ["gone", "never"],
    }
    for number, (name, names) in enumerate(limits.items()):
        PersonalToken.objects.create(
            user=user,
            name=name,
            secret_hash=bytes([number]),
            project_names=names,
            created_at=now(),
        )
    migration = import_module("core.projects.migrations.0005_tokens_of_present_projects")
    for _ in range(2):
        for operation in migration.Migration.operations:
            raw.execute(operation.sql)
        assert stored() == {
            "every": ([], False),
            "present": (["a", "b"], False),
            "some": (["a", "b"], False),
            "none": (["gone", "never"], True),
        }

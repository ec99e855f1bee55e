"""A user's standing: it stays the same for as long as nothing it rests on changes."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.artifacts.models import Repository
from core.authn.models import LoginFailure, PersonalToken
from core.authn.services import create_personal_token
from core.common.clock import now
from core.common.secrets_format import secret_hash
from core.grants.lookups import (
    PASSWORD_VERSIONS,
    PASSWORDS,
    TOKEN_VERSIONS,
    TOKENS,
    PasswordQuestion,
    PasswordStanding,
    TokenQuestion,
    TokenStanding,
)
from core.grants.services import (
    add_user_to_group,
    grant_repository,
    revoke_repository_grant,
)
from core.members.models import Membership
from core.members.services import add_member, change_role, remove_member, update_role
from core.moves.services import transfer_repository
from core.projects.models import Project
from core.rbac.types import Actor
from core.users.models import Group, User
from core.users.revocations import revoke_registry_tokens_locked
from core.users.services import delete_group, remove_user_from_group
from tests.factories.artifacts import make_image
from tests.factories.lookups import ask_here, ask_together, one_transaction
from tests.factories.members import built_in, make_group, make_member, make_role
from tests.factories.projects import make_project, make_repository
from tests.factories.users import actor_of, make_user

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
ADDRESS = "192.0.2.1"
Standing = PasswordStanding | TokenStanding
Find = Callable[[], Standing]


@pytest.fixture
def project(db: None) -> Project:
    """A private project."""
    return make_project("team")


@pytest.fixture(params=["admin", "member"])
def user(request: pytest.FixtureRequest, project: Project) -> User:
    """Somebody whom grants do not concern, or whom they do, in a project with a repository."""
    make_repository(project, "app")
    user = make_user("Alice", is_system_admin=request.param == "admin")
    make_member(project, user, "developer")
    crew = make_group("crew", user)
    make_group("others")
    grant_repository(Repository.objects.get(), group=crew, permission="push", actor=SYSTEM)
    return user


@pytest.fixture(params=["password", "token"])
def find(request: pytest.FixtureRequest, user: User) -> Find:
    if request.param == "password":
        question = PasswordQuestion("alice", ADDRESS, "team", "team/app")
        return lambda: ask_here(PASSWORDS, question)
    created = create_personal_token(
        user, name="ci", scopes=["repository:pull"], actor=actor_of(user)
    )
    hashed = secret_hash(created.secret)
    return lambda: ask_here(TOKENS, TokenQuestion(hashed, "team", "team/app"))


def holds(found: Standing) -> bool:
    assert found.basis is not None
    if isinstance(found, PasswordStanding):
        return ask_here(PASSWORD_VERSIONS, found.basis.question) == found.basis.versions
    return ask_here(TOKEN_VERSIONS, found.basis.question) == found.basis.versions


def ends(find: Find, change: Callable[[], object]) -> bool:
    """Tell whether what was found before a change holds no more after it."""
    found = find()
    with one_transaction():
        change()
    return not holds(found)


def replace_project() -> None:
    Repository.objects.update(name="gone/app")
    Project.objects.filter(name="team").update(name="gone")
    make_repository(make_project("team"), "app")


def revoke() -> None:
    subject = f"user:{User.objects.get(username='Alice').pk}"
    revoke_registry_tokens_locked(subject)


CHANGES: dict[str, Callable[[], object]] = {
    "password": lambda: User.objects.update(password="!"),
    "disabled": lambda: User.objects.update(is_active=False),
    "renamed": lambda: User.objects.update(username="bob"),
    "system admin": lambda: User.objects.update(is_superuser=True),
    "revoked": revoke,
    "public": lambda: Project.objects.update(is_public=True),
    "generation": lambda: Project.objects.update(generation=7),
    "project renamed": lambda: Project.objects.update(name="renamed"),
    "project replaced": replace_project,
    "repository deleted": lambda: Repository.objects.all().delete(),
    "repository renamed": lambda: Repository.objects.update(name="team/renamed"),
}


def transfer_away_and_back(project: Project) -> None:
    transfer_repository("team/app", make_project("elsewhere"), actor=SYSTEM)
    transfer_repository("elsewhere/app", project, actor=SYSTEM)


def change_role_of_group(project: Project, group: Group) -> None:
    change_role(make_member(project, group, "guest"), built_in("maintainer"), actor=SYSTEM)


GRANTS: dict[str, Callable[[Project, Repository, User, Group], object]] = {
    "member removed": lambda *_: remove_member(Membership.objects.get(), actor=SYSTEM),
    "more rights": lambda *_: change_role(
        Membership.objects.get(), built_in("maintainer"), actor=SYSTEM
    ),
    "fewer rights": lambda *_: change_role(
        Membership.objects.get(), built_in("guest"), actor=SYSTEM
    ),
    "custom role": lambda *_: change_role(
        Membership.objects.get(), make_role("custom", ["repository:pull"]), actor=SYSTEM
    ),
    "group added": lambda project, _repository, _user, group: add_member(
        project, group=group, role=built_in("guest"), actor=SYSTEM
    ),
    "role of the group": lambda project, _repository, _user, group: change_role_of_group(
        project, group
    ),
    "group joined": lambda _project, _repository, user, _group: add_user_to_group(
        user, Group.objects.get(name="others"), actor=SYSTEM
    ),
    "group left": lambda _project, _repository, user, group: remove_user_from_group(
        user, group, actor=SYSTEM
    ),
    "group deleted": lambda _project, _repository, _user, group: delete_group(group, actor=SYSTEM),
    "repository transferred away and back": lambda project, *_: transfer_away_and_back(project),
    "right granted": lambda _project, repository, user, _group: grant_repository(
        repository, user=user, permission="delete", actor=SYSTEM
    ),
    "right granted to the group": lambda _project, repository, _user, group: grant_repository(
        repository, group=group, permission="delete", actor=SYSTEM
    ),
    "right of the group revoked": lambda _project, repository, _user, group: (
        revoke_repository_grant(repository, group=group, permission="push", actor=SYSTEM)
    ),
}


def test_a_standing_holds_while_nothing_changes(find: Find, project: Project) -> None:
    found = find()
    assert holds(found)
    make_image(project, "v1")
    with one_transaction():
        Repository.objects.update(pull_count=7, updated_at=now())
    add_member(project, user=make_user("bob"), role=built_in("guest"), actor=SYSTEM)
    assert holds(found)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_standing_ends_when_user_or_place_change(
    find: Find, change: Callable[[], object]
) -> None:
    assert ends(find, change)


@pytest.mark.parametrize("user", ["member"], indirect=True)
@pytest.mark.parametrize("change", GRANTS.values(), ids=GRANTS.keys())
def test_a_standing_ends_when_grants_change(
    find: Find,
    user: User,
    project: Project,
    change: Callable[[Project, Repository, User, Group], object],
) -> None:
    found = find()
    change(project, Repository.objects.get(), user, Group.objects.get(name="crew"))
    assert not holds(found)


@pytest.mark.parametrize("user", ["member"], indirect=True)
@pytest.mark.parametrize("holder", ["user", "group"])
@pytest.mark.parametrize("permissions", [[], ["repository:pull", "repository:push"]])
def test_a_standing_ends_when_a_custom_role_changes(
    find: Find, user: User, project: Project, holder: str, permissions: list[str]
) -> None:
    role = make_role("custom", ["repository:pull"])
    Membership.objects.all().delete()
    make_member(project, user if holder == "user" else Group.objects.get(name="crew"), role)
    found = find()
    update_role(role, description="For the crew.", actor=SYSTEM)
    assert holds(found)
    update_role(role, permissions=permissions, actor=SYSTEM)
    assert not holds(found)


@pytest.mark.parametrize("user", ["member"], indirect=True)
@pytest.mark.parametrize(
    "failure", [("alice", "198.51.100.7"), ("bob", ADDRESS)], ids=["name", "address"]
)
def test_a_standing_for_a_password_ends_when_failures_are_stored(
    user: User, failure: tuple[str, str]
) -> None:
    found = ask_here(PASSWORDS, PasswordQuestion("ALICE", ADDRESS, "team", "team/app"))
    other = LoginFailure(username="bob", address="198.51.100.7", attempt=b"1", failed_at=now())
    other.save()
    assert holds(found)
    username, address = failure
    LoginFailure(username=username, address=address, attempt=b"2", failed_at=now()).save()
    assert not holds(found)
    found = ask_here(PASSWORDS, PasswordQuestion("ALICE", ADDRESS, "team", "team/app"))
    assert found.has_failures
    assert holds(found)
    LoginFailure.objects.all().delete()
    assert not holds(found)


@pytest.mark.parametrize("find", ["token"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        lambda: PersonalToken.objects.update(revoked_at=now()),
        lambda: PersonalToken.objects.update(expires_at=now() + timedelta(days=1)),
        lambda: PersonalToken.objects.update(last_used_at=now()),
        lambda: PersonalToken.objects.all().delete(),
    ],
    ids=["revoked", "expires", "used", "deleted"],
)
def test_a_standing_for_a_token_ends_when_the_token_changes(
    find: Find, change: Callable[[], object]
) -> None:
    assert ends(find, change)


@pytest.mark.parametrize("user", ["member"], indirect=True)
def test_nothing_holds_that_could_be_made_by_new_rows(user: User) -> None:
    assert (
        ask_here(PASSWORDS, PasswordQuestion("nobody", ADDRESS, "team", "team/app")).basis is None
    )
    assert ask_here(PASSWORDS, PasswordQuestion("alice", ADDRESS, "gone", "gone/app")).basis is None
    assert ask_here(PASSWORDS, PasswordQuestion("alice", ADDRESS, "", "")).basis is None
    assert ask_here(PASSWORDS, PasswordQuestion("alice", ADDRESS, "team", "team/x")).basis is None
    assert ask_here(TOKENS, TokenQuestion(b"nothing", "team", "team/app")).basis is None


@pytest.mark.parametrize("user", ["member"], indirect=True)
def test_versions_of_many_are_those_of_each(user: User, find: Find, project: Project) -> None:
    make_repository(project, "lib")
    alice = find()
    with one_transaction():
        admin = make_user("root", is_system_admin=True)
    lookup = PASSWORD_VERSIONS if isinstance(alice, PasswordStanding) else TOKEN_VERSIONS
    assert alice.basis is not None
    keys = alice.basis.question
    others = [
        keys._replace(user_id=admin.pk),
        keys._replace(repository="team/lib"),
        keys._replace(repository="team/x"),
    ]
    first, root, lib, nowhere = ask_together(lookup, [keys, *others])
    assert first == alice.basis.versions
    assert [root, lib, nowhere] == [ask_here(lookup, other) for other in others]
    assert root[0] != first[0]
    assert nowhere[3] is None

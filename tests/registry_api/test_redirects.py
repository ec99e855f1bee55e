"""Pulls by former names: who may follow, with which token, and until when."""

from core.artifacts.models import Repository
from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.moves.services import rename_project, transfer_repository
from core.projects.services import update_project
from core.rbac.types import Actor
from core.users.models import User
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.registry_api.asgi import Server
from tests.registry_api.cast import Client, sha256
from tests.registry_api.conftest import Place, new_place
from tests.registry_api.tokens import access_of, assert_invalid_token, bearer, claims_of

SYSTEM = Actor.system()


def pull(server: Server, token: str, name: str, payload: bytes) -> list[int]:
    layer = sha256(b"layer of v1")
    answers = [
        bearer(server, "GET", f"/v2/{name}/manifests/v1", token),
        bearer(server, "HEAD", f"/v2/{name}/manifests/{sha256(payload)}", token),
        bearer(server, "GET", f"/v2/{name}/blobs/{layer}", token),
        bearer(server, "GET", f"/v2/{name}/tags/list", token),
        bearer(server, "GET", f"/v2/{name}/referrers/{sha256(payload)}", token),
    ]
    assert answers[0].status != 200 or answers[0].body == payload
    return [answer.status for answer in answers]


def test_pulls_by_the_old_name_go_on(
    server: Server, guest: Client, developer: Client, place: Place
) -> None:
    payload = developer.push_image(place.name, "v1")
    before = guest.token(f"repository:{place.name}:pull")
    renamed = rename_project(place.project, f"{place.project.name}-new", actor=SYSTEM)
    new = f"{renamed.name}/app"
    # What was issued before ends, so that clients ask anew.
    assert_invalid_token(bearer(server, "GET", f"/v2/{place.name}/manifests/v1", before))
    for name in (place.name, new):
        token = guest.token(f"repository:{name}:pull")
        assert pull(server, token, name, payload) == [200] * 5, name
    BUFFER.flush()
    pulled = AuditEntry.objects.filter(action="artifact.pulled", target_label=f"{new}:v1")
    assert pulled.count() == 2
    headers = {"Authorization": guest.basic}
    for path in ("manifests/v1", "tags/list"):
        answer = server.request("GET", f"/v2/{place.name}/{path}", headers=headers)
        assert answer.status == 200, path


def test_an_old_name_grants_pulls_only(
    server: Server, owner: Client, outsider: Client, developer: Client, place: Place
) -> None:
    developer.push_image(place.name, "v1")
    rename_project(place.project, f"{place.project.name}-new", actor=SYSTEM)
    answer = owner.ask_token(f"repository:{place.name}:pull,push,delete")
    assert access_of(answer) == {place.name: {"pull"}}
    token = answer.json()["token"]
    stamps = claims_of(token)["rs_projects"]
    assert stamps == {place.name: [place.project.pk, 1]}
    for method, path in (
        ("PUT", "manifests/v1"),
        ("POST", "blobs/uploads/"),
        ("DELETE", "manifests/v1"),
    ):
        assert bearer(server, method, f"/v2/{place.name}/{path}", token).status == 403, method
    # Who may not pull where it leads learns nothing, not even that it leads anywhere.
    for name in (place.name, f"{place.project.name}/none"):
        answer = outsider.ask_token(f"repository:{name}:pull")
        assert access_of(answer) == {}
        assert claims_of(answer.json()["token"])["rs_projects"] == {}
        token = answer.json()["token"]
        assert bearer(server, "GET", f"/v2/{name}/manifests/v1", token).status == 403


def test_robots_and_everybody_follow_too(
    server: Server, developer: Client, anonymous: Client, public_place: Place
) -> None:
    project = public_place.project
    payload = developer.push_image(public_place.name, "v1")
    robot = make_robot("ci", project=project, permissions={project.name: ["repository:pull"]})
    renamed = rename_project(project, f"{project.name}-new", actor=SYSTEM)
    old = public_place.name
    client = Client(server, f"robot-{renamed.name}+ci", robot.secret)
    tokens = [each.token(f"repository:{old}:pull") for each in (client, anonymous)]
    for token in tokens:
        assert pull(server, token, old, payload) == [200] * 5
    update_project(renamed, is_public=False, actor=SYSTEM)
    for token in tokens:
        assert_invalid_token(bearer(server, "GET", f"/v2/{old}/manifests/v1", token))
    assert pull(server, client.token(f"repository:{old}:pull"), old, payload) == [200] * 5
    assert anonymous.ask_token(f"repository:{old}:pull").json()["scope"] == ""


def test_a_new_project_of_the_old_name_ends_the_redirect(
    server: Server, people: dict[str, User], developer: Client, guest: Client, place: Place
) -> None:
    old, name = place.name, place.project.name
    developer.push_image(old, "v1")
    rename_project(place.project, f"{name}-new", actor=SYSTEM)
    redirected = guest.token(f"repository:{old}:pull")
    assert bearer(server, "GET", f"/v2/{old}/manifests/v1", redirected).status == 200
    taken = make_project(name)
    # Neither the tenant before nor the one of now is reached with the other's token.
    assert_invalid_token(bearer(server, "GET", f"/v2/{old}/manifests/v1", redirected))
    assert access_of(guest.ask_token(f"repository:{old}:pull")) == {}
    make_member(taken, people["developer"], "developer")
    developer.forget_tokens()
    theirs = developer.push_image(old, "v1", annotations={"of": "theirs"})
    assert_invalid_token(bearer(server, "GET", f"/v2/{old}/manifests/v1", redirected))
    assert (
        bearer(
            server, "GET", f"/v2/{old}/manifests/v1", developer.token(f"repository:{old}:pull")
        ).body
        == theirs
    )


def test_a_transfer_opens_nothing_to_either_side(
    server: Server, people: dict[str, User], developer: Client, guest: Client, owner: Client
) -> None:
    source, target = new_place(people, is_public=False), new_place({}, is_public=False)
    make_member(target.project, people["developer"], "guest")
    payload = developer.push_image(source.name, "v1")
    before = guest.token(f"repository:{source.name}:pull")
    moved = transfer_repository(source.name, target.project, path="moved", actor=SYSTEM)
    assert_invalid_token(bearer(server, "GET", f"/v2/{source.name}/manifests/v1", before))
    # Guests of the source have no right in the target; the developer has one.
    token = guest.token(f"repository:{source.name}:pull")
    answer = bearer(server, "GET", f"/v2/{source.name}/manifests/v1", token)
    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    follower = developer.token(f"repository:{source.name}:pull")
    assert pull(server, follower, source.name, payload) == [200] * 5
    # Beside it, the name of the source still means the source for other repositories.
    both = developer.ask_token(f"repository:{source.name}:pull", f"repository:{source.other}:push")
    assert claims_of(both.json()["token"])["rs_projects"] == {
        source.name: [target.project.pk, 0],
        source.project.name: [source.project.pk, 1],
    }
    # Whoever may push to the name means it, and a push ends the redirect.
    developer.forget_tokens()
    own = developer.push_image(source.name, "v1", annotations={"of": "source"})
    assert_invalid_token(bearer(server, "GET", f"/v2/{source.name}/manifests/v1", follower))
    assert guest.get(f"/v2/{source.name}/manifests/v1").body == own
    assert Repository.objects.get(name=moved).project_id == target.project.pk
    assert owner.get(f"/v2/{moved}/manifests/v1").status == 403
